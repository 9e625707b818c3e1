import KVM
import KVMABI
import Testing

/// Three pages as a processor and its user share them.
final class SharedPages {
  private let memory = UnsafeMutableRawPointer.allocate(byteCount: 3 * 4096, alignment: 4096)
  let area: RunArea

  init() {
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: 3 * 4096)
    area = RunArea(base: memory, size: 3 * 4096)
  }

  deinit { memory.deallocate() }
}

@Suite struct RunAreaTests {
  let pages = SharedPages()
  var area: RunArea { pages.area }

  static let exits: [Exit] = [
    .portRead(0x71, size: 2, count: 3), .portWrite(0x80, value: 0x1234_5678, size: 4, count: 1),
    .memoryRead(0xd000_0000, size: 8),
    .memoryWrite(0xfee0_0000, value: 0x1122_3344_5566_7788, size: 8),
    .memoryWrite(0xfee0_0000, value: 0x77, size: 1),
    .modelSpecificRead(0xc000_0080, reason: .unknown),
    .modelSpecificWrite(0x10, value: .max, reason: [.filtered]),
    .hypercall(Hypercall(number: 12, arguments: [1, 2, 3, 4, 5, 6], isLongMode: true)),
    .hyperV(.synic(register: 1, control: 2, eventPage: 3, messagePage: 4)),
    .hyperV(.hypercall(input: 1, [2, 3])), .hyperV(.debugger(register: 1, [2, 3, 4, 5, 6])),
  ]

  static let stops: [Stop] = [
    .halted, .interrupted, .interruptWindow, .shutdown,
    .debug(DebugExit(exception: 1, address: 2, dr6: 3, dr7: 4)), .systemEvent(.reset),
    .systemEvent(.other(5)), .failedEntry(reason: 0x8000_0021, processor: 1),
    .internalError(.emulation), .internalError(.other(9)), .exception(vector: 6, errorCode: 7),
    .endOfInterrupt(vector: 0x41), .taskPriorityChanged,
    .taskPriorityAccess(address: 0x1000, isWrite: true), .dirtyRingFull, .busLock,
    .notify(isContextValid: true), .notify(isContextValid: false),
    .memoryFault(MemoryFault(flags: 8, address: 0x2000, size: 4096)), .unknown(reason: 99),
  ]

  @Test(arguments: exits + stops.map { .stopped($0) })
  func `an exit that one side reports is what the other reads`(exit: Exit) {
    area.report(exit, details: [1, 2])
    #expect(area.exit == exit)
    switch exit {
    case .stopped(.internalError), .stopped(.systemEvent): #expect(area.exitDetails == [1, 2])
    default: #expect(area.exitDetails.isEmpty)
    }
  }

  @Test func `answers go where the question is`() {
    area.report(.portRead(0x60, size: 1))
    area.answer(0x5a)
    #expect(area.withPortData { ($0.byteCount, $0.bytes.unsafeLoad(as: UInt8.self)) } == (1, 0x5a))
    area.report(.memoryRead(0xd000_0000, size: 4))
    area.answer(0x1234)
    #expect(area.content.mmio.data.0 == 0x34)
    area.report(.modelSpecificRead(0x10, reason: .filtered))
    area.refuse()
    #expect(area.content.msr.error == 1)
    area.report(.portWrite(0x80, value: 9, size: 1))
    area.answer(1)
    #expect(area.exit == .portWrite(0x80, value: 9, size: 1))
  }

  @Test func `port data outside the pages is none`() {
    area.report(.portRead(0x60, size: 4, count: 0x7fff_ffff))
    #expect(area.withPortData { $0.byteCount } == 0)
    area.report(.portRead(0x60, size: 4))
    area.content.io.data_offset = .max
    #expect(area.withPortData { $0.byteCount } == 0)
    area.answer(7)
  }

  @Test func `a run shows its processor's status`() {
    var status = RunStatus()
    status.interruptFlag = true
    status.isInSystemManagement = true
    (status.taskPriority, status.apicBase) = (5, 0xfee0_0900)
    area.status = status
    #expect(area.status == status)
    area.isImmediateExit = true
    #expect(area.content.immediate_exit == 1)
  }

  @Test func `writes wait in the ring until it is full`() throws {
    let ring = try #require(CoalescedRing(in: area, page: 2))
    var count = 0
    while ring.append(CoalescedWrite(.memory, address: UInt64(count), size: 4, value: 7)) {
      count += 1
    }
    #expect(count == Int(CoalescedRing.capacity) - 1)
    #expect(ring.collect().map(\.address) == (0..<UInt64(count)).map { $0 })
    #expect(ring.collect().isEmpty)
    #expect(CoalescedRing(in: area, page: 3) == nil)
  }
}
