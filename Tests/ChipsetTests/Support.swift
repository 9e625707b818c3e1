import Chipset
import DeviceModel
import KVM
import Synchronization

/// Collects the events an interrupt controller delivers.
final class Recorder: Sendable {
  struct Entry: Equatable {
    var processor: Int
    var event: ProcessorEvent
  }
  private let entries = Mutex<[Entry]>([])

  func note(_ processor: Int, _ event: ProcessorEvent) {
    entries.withLock { $0.append(Entry(processor: processor, event: event)) }
  }

  /// What came since the last call.
  func take() -> [Entry] {
    entries.withLock { entries in
      defer { entries = [] }
      return entries
    }
  }
}

/// A controller with its buses, a clock moved by hand, and everything it delivers.
final class Bench: Sendable {
  let clock = ManualClock(now: 1_000_000)
  let timers = TimerQueue(wake: {})
  let ports = Bus()
  let memory = Bus()
  let recorder = Recorder()
  let controller: InterruptController

  /// - Parameter outsidePins: makes a split controller, with so many lines of an outside IOAPIC.
  init(processors: Int = 1, outsidePins: Int? = nil) throws {
    controller = InterruptController(clock: clock, timers: timers, outsidePins: outsidePins)
    for index in 0..<processors { addProcessor(identifier: UInt32(index)) }
    guard outsidePins == nil else { return }
    try controller.attach(ports: ports, memory: memory)
    try controller.attachTimer(ports: ports)
  }

  /// Adds a processor, the first one as the one that boots.
  func addProcessor(identifier: UInt32) {
    let (recorder, index) = (recorder, count.add(1, ordering: .relaxed).oldValue)
    let number = controller.addProcessor(identifier: identifier, isBootProcessor: index == 0) {
      recorder.note(index, $0)
    }
    precondition(number == index)
  }
  private let count = Atomic(0)

  /// Lets time pass, firing every timer at its deadline.
  func pass(_ nanoseconds: UInt64) {
    let end = clock.now + nanoseconds
    while let deadline = timers.deadline, deadline <= end {
      if deadline > clock.now { clock.advance(by: deadline - clock.now) }
      timers.advance(to: clock.now)
    }
    clock.advance(by: end - clock.now)
  }

  @discardableResult
  func signal(_ address: UInt64, _ data: UInt32) -> Int? {
    controller.signal(MessageInterrupt(address: address, data: data))
  }

  func out(_ value: UInt64, _ port: UInt64) { ports.write(value, to: port, width: .byte) }
  func `in`(_ port: UInt64) -> UInt64 { ports.read(port, width: .byte) }

  func setAPIC(_ offset: UInt64, _ value: UInt64, processor: Int = 0) {
    controller.writeLocal(value, to: offset, width: .double, processor: processor)
  }
  func apic(_ offset: UInt64, processor: Int = 0) -> UInt64 {
    controller.readLocal(offset, width: .double, processor: processor)
  }

  func setIOAPIC(_ index: UInt64, _ value: UInt64) {
    memory.write(index, to: 0xfec0_0000, width: .double)
    memory.write(value, to: 0xfec0_0010, width: .double)
  }
  func ioapic(_ index: UInt64) -> UInt64 {
    memory.write(index, to: 0xfec0_0000, width: .double)
    return memory.read(0xfec0_0010, width: .double)
  }

  func setMSR(_ number: UInt32, _ value: UInt64, timestamp: UInt64 = 0, processor: Int = 0) -> Bool
  {
    controller.writeModelSpecific(
      number, value: value, processor: processor,
      timestamp: { (counter: timestamp, kilohertz: 2_000_000) })
  }
  func msr(_ number: UInt32, processor: Int = 0) -> UInt64? {
    controller.readModelSpecific(number, processor: processor)
  }

  /// Masks the 8259s, which do not wait for the guest to set their vectors.
  func maskPIC() {
    out(0xff, 0x21)
    out(0xff, 0xa1)
  }

  /// Initialises the 8259s as Linux does: vectors 0x30 and 0x38, all unmasked.
  func startPIC() {
    for (port, value) in [
      (0x20, 0x11), (0x21, 0x30), (0x21, 0x04), (0x21, 0x01),
      (0xa0, 0x11), (0xa1, 0x38), (0xa1, 0x02), (0xa1, 0x01),
    ] as [(UInt64, UInt64)] {
      out(value, port)
    }
  }
}
