import Foundation
import GuestMemory
import KVM
import KVMSoft
import Testing

/// Hyper-V's interface, as far as a guest in real mode and its owner see it. What the calls do,
/// Linux's own selftests check.
@Suite struct HyperVTests {
  let guest: SoftGuest
  let cpu: SoftCPU
  let watchdog = Watchdog()

  private enum Register {
    static let referenceTime: UInt32 = 0x4000_0020
    static let referencePage: UInt32 = 0x4000_0021
    static let synicControl: UInt32 = 0x4000_0080
    static let messagePage: UInt32 = 0x4000_0083
    static let endOfMessage: UInt32 = 0x4000_0084
    static let source2: UInt32 = 0x4000_0092
    static let timer0: UInt32 = 0x4000_00b0
    static let count0: UInt32 = 0x4000_00b1
  }

  /// Waits for interrupts at 0x1000; every vector's handler writes to ports 0x80 and 0x82.
  init() throws {
    // sti; hlt; jmp $-1
    guest = try SoftGuest([0xfb, 0xf4, 0xeb, 0xfd], hasController: true)
    for vector in UInt64(0)..<256 { try guest.memory.store(UInt32(0x1100), at: vector * 4) }
    // out 0x80, al; out 0x82, al; sti; hlt; jmp $-1
    try guest.memory.write(
      [0xe6, 0x80, 0xe6, 0x82, 0xfb, 0xf4, 0xeb, 0xfd], at: 0x1100)
    cpu = try guest.start()
    var registers = try cpu.localAPIC()
    registers[0xf0] = 0x1ff
    try cpu.setLocalAPIC(registers)
    try cpu.enable(.hyperVSynic2, [0, 0, 0, 0])
    watchdog.watch(cpu.doorbell)
  }

  func set(_ number: UInt32, _ value: UInt64) throws {
    #expect(try cpu.writeModelSpecific([ModelSpecificRegister(number, value)]) == 1)
  }

  func value(_ number: UInt32) throws -> UInt64 {
    try #require(try cpu.readModelSpecific([number]).first?.value)
  }

  /// Runs to the next write to a port.
  func port() throws -> UInt16? {
    guard case .portWrite(let port, _, _, _) = try cpu.run() else { return nil }
    return port
  }

  @Test func `a timer raises its vector`() throws {
    try set(Register.count0, 1)
    try set(Register.timer0, 1 | 0x40 << 4 | 1 << 12)
    #expect(try port() == 0x80)
    #expect(try value(Register.timer0) & 1 == 0, "once")
    // In 2 ms, while the guest sleeps.
    try set(Register.count0, try value(Register.referenceTime) + 20_000)
    try set(Register.timer0, 1 | 0x40 << 4 | 1 << 12)
    #expect(try port() == 0x82)
    var registers = try cpu.localAPIC()
    for word in 0..<8 { registers[0x100 + word * 16] = 0 }
    try cpu.setLocalAPIC(registers)
    #expect(try port() == 0x80)
  }

  @Test func `a timer's message waits for room`() throws {
    let slot: UInt64 = 0x5000 + 2 * 256
    try set(Register.messagePage, 0x5001)
    try set(Register.source2, 0x41)
    try set(Register.count0, 1)
    try set(Register.timer0, 1 | 2 << 16)
    #expect(try port() == 0x80)
    #expect(try guest.memory.load(UInt64.self, at: slot) == 24 << 32 | 0x8000_0010)
    #expect(try guest.memory.load(UInt64.self, at: slot + 16) == 0, "the timer's number")
    #expect(try guest.memory.load(UInt64.self, at: slot + 24) == 1, "when it was to be")
    #expect(try guest.memory.load(UInt64.self, at: slot + 32) > 1, "when it was")
    try set(Register.count0, 1)
    try set(Register.timer0, 1 | 2 << 16)
    #expect(try port() == 0x82)
    #expect(try guest.memory.load(UInt8.self, at: slot + 5) == 1, "another one waits")
    #expect(try value(Register.timer0) & 1 == 1)
    // The guest takes the first and says so.
    try guest.memory.store(UInt64(0), at: slot)
    try set(Register.endOfMessage, 0)
    var registers = try cpu.localAPIC()
    for word in 0..<8 { registers[0x100 + word * 16] = 0 }
    try cpu.setLocalAPIC(registers)
    #expect(try port() == 0x80)
    #expect(try guest.memory.load(UInt32.self, at: slot) == 0x8000_0010)
  }

  @Test func `the page of the time agrees with the counter`() throws {
    try set(Register.referencePage, 0x6001)
    #expect(try guest.memory.load(UInt32.self, at: 0x6000) == 1)
    let scale = try guest.memory.load(UInt64.self, at: 0x6008)
    let offset = try guest.memory.load(UInt64.self, at: 0x6010)
    func computed() throws -> UInt64 {
      try value(0x10).multipliedFullWidth(by: scale).high &+ offset
    }
    let (before, time, after) = (try computed(), try value(Register.referenceTime), try computed())
    #expect(before <= time && time <= after)
    var clock = try guest.machine.clock()
    (clock.nanoseconds, clock.realTime) = (1_000_000_000_000, nil)
    try guest.machine.setClock(clock)
    try set(Register.count0, 1)
    try set(Register.timer0, 1 | 0x40 << 4 | 1 << 12)
    #expect(try port() == 0x80)
    #expect(try guest.memory.load(UInt32.self, at: 0x6000) == 2, "with the next run")
    #expect(try value(Register.referenceTime) / 10_000_000 == 1000)
  }

  /// Has the guest write a register, with CPUID as `entries` has it.
  func write(_ number: UInt32, _ value: UInt8, entries: [CPUIDEntry]) throws -> Exit {
    try cpu.setCPUID(entries)
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    // mov ecx, number; mov eax, value; xor edx, edx; wrmsr; hlt
    let code: [UInt8] = [0x66, 0xb9] + bytes + [0x66, 0xb8, value, 0, 0, 0]
    try guest.memory.write(code + [0x66, 0x31, 0xd2, 0x0f, 0x30, 0xf4], at: 0x1000)
    return try cpu.run()
  }

  var entries: [CPUIDEntry] {
    get throws {
      try cpu.hyperVIdentification()
        + SoftHypervisor().supportedCPUID().filter { $0.leaf >> 28 != 4 }
    }
  }

  @Test func `the owner hears of the controller's pages, and of a reset`() throws {
    let exit = try write(Register.synicControl, 1, entries: entries)
    #expect(
      exit
        == .hyperV(
          .synic(register: Register.synicControl, control: 1, eventPage: 0, messagePage: 0)))
    var registers = try cpu.registers()
    registers.rip = 0x1000
    try cpu.setRegisters(registers)
    #expect(try write(0x4000_0003, 1, entries: entries) == .stopped(.systemEvent(.reset)))
  }

  @Test func `without its CPUID a guest has no such registers`() throws {
    // #GP has a handler of its own here.
    let exit = try write(
      Register.synicControl, 1, entries: SoftHypervisor().supportedCPUID())
    guard case .portWrite(0x80, _, _, _) = exit else {
      Issue.record("no #GP: \(exit)")
      return
    }
  }

  @Test func `connections are numbered, once each`() throws {
    let event = Event()
    let machine = guest.machine
    try machine.connect(HyperVConnection(5, descriptor: event.descriptor))
    for wrong in [
      HyperVConnection(5, descriptor: event.descriptor),
      HyperVConnection(1 << 24, descriptor: event.descriptor),
    ] {
      #expect(throws: KVMError.self) { try machine.connect(wrong) }
    }
    #expect(throws: KVMError.self) {
      try machine.disconnect(HyperVConnection(6, descriptor: event.descriptor))
    }
    try machine.disconnect(HyperVConnection(5, descriptor: event.descriptor))
  }

  @Test func `an uncorrected error that needs no action raises an interrupt`() throws {
    try cpu.setMachineCheckCapabilities(1 << 10 | 4)
    var registers = try cpu.localAPIC()
    #expect(registers[0x30] >> 16 & 0xff == 6, "entries of the vector table, less one")
    registers[0x2f0] = 0x42
    try cpu.setLocalAPIC(registers)
    let check = MachineCheck(bank: 1, status: 1 << 63 | 1 << 61, address: 0x1234)
    try cpu.report(check)
    #expect(try value(0x406) == 0x1234)
    #expect(try cpu.localAPIC()[0x220] == 0, "not asked for")
    try set(0x281, 1 << 30)
    try cpu.report(check)
    #expect(try port() == 0x80)
  }
}
