import Engine
import Glibc
import Host
import KVM
import Synchronization

/// What Hyper-V's interface has once for a machine.
final class HyperVPartition: Sendable {
  /// Connections are numbered up to here.
  static let largestConnection: UInt32 = 0xff_ffff

  private let registers = Mutex(PartitionRegisters())
  /// The eventfds of connections that the guest signals (KVM_HYPERV_EVENTFD).
  private let connections = Mutex<[UInt32: EventDescriptor]>([:])
  private let targets = Mutex<[HyperVTarget]>([])
  /// Whether there is a page of the time, and the change of the machine's time that it shows.
  private let hasPage = Atomic(false)
  private let shown = Atomic<UInt64>(0)

  // MARK: Processors

  /// Adds a processor, whose number is at first the order in which it came.
  func add(_ make: (_ index: UInt32) -> HyperVTarget) -> HyperVTarget {
    targets.withLock { targets in
      let target = make(UInt32(targets.count))
      targets.append(target)
      return target
    }
  }

  var processors: [HyperVTarget] { targets.withLock { $0 } }

  func processor(_ index: UInt32) -> HyperVTarget? { processors.first { $0.index == index } }

  // MARK: Registers

  /// Whether calls are Hyper-V's, as a guest that has told its name expects.
  var takesCalls: Bool { registers.withLock { $0.guestIdentity != 0 } }

  var offersDebuggerCalls: Bool { registers.withLock { $0.debugger.usesCalls } }

  /// `nil` for a register that is not one of the partition's.
  func read(_ number: UInt32) -> UInt64? { registers.withLock { $0.read(number) } }

  /// What a write comes to; `nil` for a register that is not one of the partition's.
  func write(_ number: UInt32, _ value: UInt64, byHost: Bool) -> RegisterEffect? {
    registers.withLock { registers in
      let effect = registers.write(number, value, byHost: byHost)
      hasPage.store(registers.time.register & 1 != 0, ordering: .relaxed)
      return effect
    }
  }

  /// Takes what a client's debugger says to the last request.
  func setDebuggerStatus(_ status: UInt64) {
    registers.withLock { $0.debugger.status = status }
  }

  // MARK: Time

  func time(at moment: ReferenceTime.Moment) -> UInt64 {
    registers.withLock { $0.time.value(at: moment) }
  }

  /// Whether the page of the time is out of date.
  func isStale(_ generation: UInt64) -> Bool {
    hasPage.load(ordering: .relaxed) && shown.load(ordering: .relaxed) != generation
  }

  /// Fills the page of the time in, if it is out of date or new.
  ///
  /// - Parameter generation: the change of the machine's time that it then shows.
  func publishTime(
    at moment: ReferenceTime.Moment, in memory: ProcessorGroup, generation: UInt64
  ) {
    let old = shown.exchange(generation, ordering: .relaxed)
    registers.withLock { registers in
      let isEmulated = registers.emulationControl != 0
      if old != generation { registers.time.timeChanged(isEmulated: isEmulated) }
      registers.time.publish(at: moment, in: memory, isEmulated: isEmulated)
    }
  }

  /// The guest's counter was set.
  func counterChanged() {
    registers.withLock { $0.time.timeChanged(isEmulated: $0.emulationControl != 0) }
  }

  // MARK: Connections

  /// EEXIST where the connection has an eventfd.
  func connect(_ identifier: UInt32, to event: EventDescriptor) throws(SystemError) {
    let isNew = connections.withLock { connections in
      guard connections[identifier] == nil else { return false }
      connections[identifier] = event
      return true
    }
    if !isNew { throw SystemError(call: "KVM_HYPERV_EVENTFD", errno: EEXIST) }
  }

  /// ENOENT where it has none.
  func disconnect(_ identifier: UInt32) throws(SystemError) {
    if connections.withLock({ $0.removeValue(forKey: identifier) }) == nil {
      throw SystemError(call: "KVM_HYPERV_EVENTFD", errno: ENOENT)
    }
  }

  /// Signals a connection; returns whether there is one.
  func signal(_ identifier: UInt32) -> Bool {
    guard let event = connections.withLock({ $0[identifier] }) else { return false }
    event.signal()
    return true
  }
}
