import Chipset
import DeviceModel
import Engine
import GuestMemory
import KVM

/// The machine around one processor, as the engine sees it.
final class SoftEnvironment: ProcessorEnvironment {
  /// The processor's number at the interrupt controller.
  private(set) var index = 0
  let memory: ProcessorGroup
  let epoch: MachineEpoch
  let chips: InterruptChips?
  /// Whether the 8259 is the engine's too, so that nobody else interrupts.
  let hasOwn8259: Bool
  let mailbox: ProcessorMailbox
  private let guestWrites: GuestWrites
  /// The devices of the run in progress.
  var handler: (any ExitHandler)?
  /// The same, where accesses end the run.
  var relay: ExitRelay?
  let machine: MachineSettings
  let partition: HyperVPartition
  var hyperV = HyperVProcessor()
  /// Whether the guest has only what CPUID says of KVM's own features.
  var enforcesFeatures = false
  /// IA32_TSC_ADJUST, and the counter's offset when that was last looked at.
  var timeStampAdjust: UInt64 = 0
  var knownOffset: UInt64 = 0
  /// Set while an instruction in flight is only to be completed.
  var mustStop = false
  /// The ring of dirty pages, where the machine has them.
  var writtenPages: WrittenPages?
  /// The ring has become full in this run.
  var isDirtyRingFull = false
  /// A triple fault that was there when the processor's state was taken.
  var hasTripleFault = false
  /// The guest let more interrupts through, which is the client's to know.
  var hasLoweredPriority = false
  /// Set while the run is to end where the guest can take an interrupt.
  var wantsInterruptWindow = false
  var identity = CPUIDTable([]) { didSet { hyperV.features.update(identity) } }
  /// An interrupt to deliver, on machines without a controller.
  var queuedInterrupt: UInt8?
  /// What has happened, for statistics.
  var counts = EventCounts()
  var models = ModelSpecificStore()
  var machineCheck = MachineCheckBanks()
  /// A model-specific register is being set from outside, where more is allowed.
  var isHostWriting = false
  let clock: ParavirtualClock
  let steal = StealTime()
  var paravirtual = ParavirtualRegisters()
  /// Set right after the processor is made, and outlived by it. Weak, it would make each count of
  /// references to the processor slow.
  private(set) unowned var processor: Processor?
  /// CR8 and IA32_APIC_BASE on machines without a controller.
  private var ownTaskPriority: UInt8 = 0
  private var ownAPICBase: UInt64
  /// The address of the local APIC's page, if it has one.
  private(set) var localPage: UInt64?

  init(id: UInt32, machine: SoftMachine, mailbox: ProcessorMailbox) {
    let isBootProcessor = id == machine.bootProcessor
    chips = machine.chips.withLock { $0 }
    hasOwn8259 = chips.map { !$0.controller.isSplit } ?? false
    self.mailbox = mailbox
    guestWrites = machine.guestWrites
    partition = machine.partition
    memory = machine.group
    self.machine = machine.settings
    epoch = machine.epoch
    clock = ParavirtualClock(timeline: machine.timeline)
    ownAPICBase = 0xfee0_0800 | (isBootProcessor ? 0x100 : 0)
  }

  /// Gives a processor, now that there is one, its local APIC.
  func attach(_ processor: Processor, id: UInt32, isBootProcessor: Bool) {
    self.processor = processor
    if let chips {
      let mailbox = mailbox
      index = chips.controller.addProcessor(identifier: id, isBootProcessor: isBootProcessor) {
        mailbox.post($0)
      }
      localPage = chips.controller.localPage(processor: index)
    }
    hyperV.join(partition, local: index)
  }

  // MARK: Ports and memory

  func readPort(_ port: UInt16, size: Int) -> UInt32 {
    if let chips, let width = AccessWidth(bytes: size),
      let value = chips.ports.readOwned(UInt64(port), width: width)
    {
      return UInt32(truncatingIfNeeded: value)
    }
    if let relay { return relay.readPort(port, size: size) }
    return handler?.readPort(port, size: size) ?? .max
  }

  func readPort(_ port: UInt16, size: Int, into elements: UnsafeMutableRawBufferPointer) {
    let isOwn = chips?.ports.owns(UInt64(port), size: size) ?? false
    guard elements.count > size, !isOwn, let relay else {
      unsafe readPortSingly(port, size: size, into: elements)
      return
    }
    unsafe relay.readPort(port, size: size, into: elements)
  }

  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    if let chips, let width = AccessWidth(bytes: size),
      chips.ports.write(UInt64(value), to: UInt64(port), width: width)
    {
      return
    }
    if guestWrites.take(UInt64(value), to: UInt64(port), size: size, in: .ports) { return }
    if let relay { return relay.writePort(port, value: value, size: size) }
    handler?.writePort(port, value: value, size: size)
  }

  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    if let chips, let width = AccessWidth(bytes: size) {
      if address & ~0xfff == localPage {
        return chips.controller.readLocal(address & 0xfff, width: width, processor: index)
      }
      if let value = chips.memory.readOwned(address, width: width) { return value }
    }
    if let relay { return relay.readMemory(address, size: size) }
    return handler?.readMemory(address, size: size) ?? .max
  }

  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    if let chips, let width = AccessWidth(bytes: size) {
      if address & ~0xfff == localPage {
        chips.controller.writeLocal(value, to: address & 0xfff, width: width, processor: index)
        return
      }
      if chips.memory.write(value, to: address, width: width) { return }
    }
    if guestWrites.take(value, to: address, size: size, in: .memory) { return }
    if let relay { return relay.writeMemory(address, value: value, size: size) }
    handler?.writeMemory(address, value: value, size: size)
  }

  // MARK: Interrupts

  var hasInterrupt: Bool {
    queuedInterrupt != nil || chips?.controller.hasInterrupt(processor: index) ?? false
  }

  func acknowledgeInterrupt() -> UInt8? {
    let vector = queuedInterrupt ?? chips?.controller.acknowledge(processor: index)
    queuedInterrupt = nil
    if vector != nil { counts.interrupts &+= 1 }
    return vector
  }

  var wantsToStop: Bool {
    mustStop || hasTripleFault || hasLoweredPriority || hasInterruptWindow || isDirtyRingFull
      || mailbox.wantsToStop(latchesReset: isInManagement)
  }

  /// Whether the guest can take an interrupt, and somebody waits for that.
  var hasInterruptWindow: Bool {
    guard wantsInterruptWindow, let processor, !hasOwn8259 else { return false }
    return processor.acceptsInterrupts && takesOutsideInterrupt && !hasInterrupt
  }

  /// Whether an 8259 that is not here may interrupt now, as far as the controller goes.
  var takesOutsideInterrupt: Bool {
    queuedInterrupt == nil && chips?.controller.takesExternalInterrupts(processor: index) ?? true
  }

  func takeNonMaskable(isBlocked: Bool) -> Bool { mailbox.takeNonMaskable(isBlocked: isBlocked) }

  func takeSystemManagement() -> Bool {
    guard mailbox.takeSystemManagement() else { return false }
    counts.managementInterrupts &+= 1
    return true
  }

  /// Whether the processor is in system-management mode.
  var isInManagement: Bool { processor.map { $0.cpu.inManagement != 0 } ?? false }

  var taskPriority: UInt8 {
    get { chips?.controller.taskPriority(processor: index) ?? ownTaskPriority }
    set {
      if let chips {
        chips.controller.setTaskPriority(newValue, processor: index)
      } else {
        if newValue < ownTaskPriority {
          hasLoweredPriority = true
          processor?.doorbell.ring()
        }
        ownTaskPriority = newValue
      }
    }
  }

  /// Sets the task priority from outside the guest.
  func setTaskPriorityQuietly(_ priority: UInt8) {
    if chips != nil { taskPriority = priority } else { ownTaskPriority = priority }
  }

  /// What else ends the run.
  func takeStop() -> Stop? {
    defer { (hasTripleFault, hasLoweredPriority) = (false, false) }
    return hasTripleFault ? .shutdown : hasLoweredPriority ? .taskPriorityChanged : nil
  }

  /// IA32_APIC_BASE; a value that the APIC refuses is dropped.
  var apicBase: UInt64 {
    get { chips?.controller.readModelSpecific(0x1b, processor: index) ?? ownAPICBase }
    set {
      if chips != nil { _ = restoreAPICBase(newValue) } else { ownAPICBase = newValue }
    }
  }

  /// From outside, as with a reset, the APIC changes to any mode.
  private func restoreAPICBase(_ value: UInt64) -> Bool {
    guard let chips else { return false }
    defer { localPage = chips.controller.localPage(processor: index) }
    return chips.controller.restoreBase(value, processor: index)
  }

  /// Writes a register of the local APIC's; `false` raises #GP.
  func writeLocalAPIC(_ number: UInt32, _ value: UInt64) -> Bool {
    if number == 0x1b {
      guard value >> UInt64(addressBits) == 0 else { return false }
      if isHostWriting { return restoreAPICBase(value) }
    }
    guard let chips else { return false }
    let isTaken = chips.controller.writeModelSpecific(number, value: value, processor: index) {
      (counter: processor?.timeStamp ?? 0, kilohertz: clock.kilohertz)
    }
    if number == 0x1b { localPage = chips.controller.localPage(processor: index) }
    return isTaken
  }
}

/// How often things have happened to a processor.
struct EventCounts {
  var runs: UInt64 = 0
  var halts: UInt64 = 0
  var interrupts: UInt64 = 0
  var managementInterrupts: UInt64 = 0
}
