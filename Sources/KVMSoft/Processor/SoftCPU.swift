import Chipset
import Engine
import Glibc
import GuestMemory
import Host
public import KVM
import KVMABI
import X86

/// A virtual processor of the software engine.
public final class SoftCPU: VirtualCPU {
  let processor: Processor
  let environment: SoftEnvironment
  let mailbox: ProcessorMailbox
  /// Keeps the machine, and with it the timers' thread.
  let machine: SoftMachine
  let isBootProcessor: Bool
  /// What it waits for before it runs anything.
  var waiting = Waiting.nothing
  /// The vector of the last SIPI.
  var startupVector: UInt8 = 0
  var hasRun = false
  /// Whether the last run was interrupted because INIT arrived, which the processor had waited for
  /// since it was made: KVM_RUN fails with EAGAIN then.
  public private(set) var wasInitialized = false
  /// The numbers that came with the last internal error.
  public internal(set) var exitDetails: [UInt64] = []

  /// The engine's own flow of control, once exits have been asked for as values.
  var relay: ExitRelay?

  init(id: UInt32, machine: SoftMachine) throws(KVMError) {
    self.machine = machine
    mailbox = ProcessorMailbox()
    isBootProcessor = id == machine.bootProcessor
    environment = SoftEnvironment(id: id, machine: machine, mailbox: mailbox)
    let environment = environment
    processor = try refusing { () throws(SystemError) in
      try Processor(
        group: machine.group, environment: environment,
        features: GuestFeatures.offered.decoded)
    }
    waiting = !isBootProcessor && environment.chips != nil ? .initialization : .nothing
    environment.attach(processor, id: id, isBootProcessor: isBootProcessor)
    resetRegisters()
    try startCounter()
    try makeDirtyRing()
    mailbox.attach(processor.doorbell)
  }

  deinit {
    endRelay()
    mailbox.attach(nil)
    environment.hyperV.cancelAlarm()
  }

  public var doorbell: any Doorbell { mailbox }

  /// Ends the run in progress, or else the next one, as ``doorbell`` does; for signal handlers on
  /// the thread that runs the processor.
  public func ringFromSignalHandler() { mailbox.ring(own: processor.doorbell) }

  public func run(handler: some ExitHandler) throws(KVMError) -> Stop {
    finishInstruction()
    (environment.handler, environment.relay) = (handler, nil)
    defer { connectRelay() }
    return runUntilStop()
  }

  /// Runs guest code, with device accesses going to the environment's handler.
  func runUntilStop() -> Stop {
    wasInitialized = false
    environment.refreshTime()
    environment.counts.runs &+= 1
    if environment.wantsInterruptWindow { processor.doorbell.ring() }
    hasRun = true
    while true {
      if environment.mustStop || mailbox.takeRing() { return .interrupted }
      if let vector = mailbox.takeEnd() { return .endOfInterrupt(vector: vector) }
      if let stop = environment.takeStop() { return stop }
      environment.serveSynthetic()
      let waited = waiting
      serveStartup()
      if waited == .initialization && waiting != waited {
        wasInitialized = true
        return .interrupted
      }
      if waiting != .nothing || processor.cpu.halted != 0 {
        guard environment.chips != nil else {
          processor.cpu.halted = 0
          return .halted
        }
        waitForEvent()
        if waiting != .nothing || wantsToStop { continue }
      }
      environment.isDirtyRingFull = isDirtyRingFull
      if environment.isDirtyRingFull { return .dirtyRingFull }
      switch processor.runGuest() {
      case .interrupted where environment.hasInterruptWindow: return .interruptWindow
      case .halted, .interrupted: continue
      case .shutdown: return .shutdown
      case .debug: return debugStop
      case .badMemory:
        return .memoryFault(MemoryFault(address: processor.badAddress & ~0xfff, size: 4096))
      case .unreachableCode:
        // As VMX's EPT violation of a fetch, after the flags, which say that no bytes follow.
        exitDetails = [0, 48, 4, 0, 0, 0]
        return .internalError(.emulation)
      }
    }
  }

  /// Sleeps until there is something to do.
  private func waitForEvent() {
    let runs = waiting == .nothing
    let takesInterrupts = runs && processor.cpu.flags.contains(.interrupt)
    let takesNonMaskable = runs && processor.cpu.nmiBlocked == 0
    let takesManagement = runs && !environment.isInManagement
    environment.counts.halts &+= 1
    while true {
      // First the count, then a look: what comes in between changes the count.
      let seen = mailbox.changes.count
      if wantsToStop || takesNonMaskable && mailbox.hasNonMaskable { break }
      if takesManagement && mailbox.hasSystemManagement { break }
      if takesInterrupts, environment.hasInterrupt { break }
      mailbox.changes.wait(while: seen)
    }
    // The engine looks for what has come on its way in.
    processor.doorbell.ring()
  }

  private var wantsToStop: Bool {
    mailbox.wantsToStop(latchesReset: environment.isInManagement)
  }

  /// Takes INIT and SIPI. Reference: SDM vol. 3A, section 9.4.
  ///
  /// In system-management mode the first waits, and the second is lost.
  func serveStartup() {
    let latchesReset = environment.isInManagement
    let (isReset, vector) = mailbox.state.withLock { state in
      defer { (state.isReset, state.startup) = (state.isReset && latchesReset, nil) }
      return (state.isReset && !latchesReset, state.startup)
    }
    if isReset {
      resetRegisters()
      environment.chips?.controller.initialize(processor: environment.index)
      waiting = isBootProcessor ? .nothing : .startup
    }
    if let vector { startupVector = vector }
    guard waiting == .startup, let vector else { return }
    waiting = .nothing
    let selector = UInt16(vector) << 8
    processor.cpu[.cs] = SegmentRegister(
      base: UInt64(vector) << 12, limit: 0xffff, selector: selector,
      attributes: SegmentAttributes(rawValue: 0x9b))
    processor.cpu.instructionPointer = 0
  }

  public func inject(interrupt vector: UInt8) throws(KVMError) {
    guard !environment.hasOwn8259 else {
      throw .refused(call: "KVM_INTERRUPT", errno: ENXIO)
    }
    guard environment.chips == nil || environment.queuedInterrupt == nil else {
      throw .refused(call: "KVM_INTERRUPT", errno: EEXIST)
    }
    environment.queuedInterrupt = vector
    processor.doorbell.ring()
  }
}

/// What a processor waits for before it runs anything.
enum Waiting: BitwiseCopyable {
  case nothing
  /// INIT.
  case initialization
  /// SIPI.
  case startup
}
