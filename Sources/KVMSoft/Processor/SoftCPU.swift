import Chipset
import Engine
import GuestMemory
import Host
public import KVM
import X86

/// A virtual processor of the software engine.
public final class SoftCPU: VirtualCPU {
  let id: Int
  let processor: Processor
  let environment: SoftEnvironment
  let mailbox: ProcessorMailbox
  /// Keeps the machine, and with it the timers' thread.
  private let machine: SoftMachine
  /// Waits for SIPI before it runs anything.
  var isAwaitingStartup: Bool

  init(id: UInt32, machine: SoftMachine) throws(KVMError) {
    self.id = Int(id)
    self.machine = machine
    mailbox = machine.mailboxes[Int(id)]
    let chips = machine.chips.withLock { $0 }
    environment = SoftEnvironment(id: Int(id), machine: machine, chips: chips)
    do throws(SystemError) {
      processor = try Processor(
        memory: machine.memory, environment: environment,
        features: GuestFeatures.offered.decoded)
    } catch {
      throw .refused(call: error.call, errno: error.errno)
    }
    isAwaitingStartup = id != 0 && chips != nil
    environment.processor = processor
    processor.cpu.timeStampOffset = 0 &- machine.epoch.timeStamp
    resetRegisters()
    mailbox.attach(processor.doorbell)
  }

  deinit { mailbox.attach(nil) }

  public var doorbell: any Doorbell { mailbox }

  /// Ends the run in progress, or else the next one, as ``doorbell`` does; for signal handlers on
  /// the thread that runs the processor.
  public func ringFromSignalHandler() { mailbox.ring(own: processor.doorbell) }

  public func run(handler: some ExitHandler) throws(KVMError) -> Stop {
    environment.handler = handler
    defer { environment.handler = nil }
    while true {
      if mailbox.takeRing() { return .interrupted }
      serveStartup()
      if isAwaitingStartup || processor.cpu.halted != 0 {
        guard environment.chips != nil else {
          processor.cpu.halted = 0
          return .halted
        }
        waitForEvent()
        if isAwaitingStartup || mailbox.wantsToStop { continue }
      }
      switch processor.runGuest() {
      case .halted, .interrupted: continue
      case .shutdown: return .shutdown
      }
    }
  }

  /// Sleeps until there is something to do.
  private func waitForEvent() {
    let takesInterrupts = !isAwaitingStartup && processor.cpu.flags.contains(.interrupt)
    let takesNonMaskable = !isAwaitingStartup && processor.cpu.nmiBlocked == 0
    while true {
      // First the count, then a look: what comes in between changes the count.
      let seen = mailbox.changes.count
      if mailbox.wantsToStop || takesNonMaskable && mailbox.hasNonMaskable { break }
      if takesInterrupts, environment.hasInterrupt { break }
      mailbox.changes.wait(while: seen)
    }
    // The engine looks for what has come on its way in.
    processor.doorbell.ring()
  }

  /// Takes INIT and SIPI. Reference: SDM vol. 3A, section 9.4.
  private func serveStartup() {
    let (isReset, vector) = mailbox.state.withLock { state in
      defer { (state.isReset, state.startup) = (false, nil) }
      return (state.isReset, state.startup)
    }
    if isReset {
      resetRegisters()
      environment.chips?.controller.initialize(processor: id)
      isAwaitingStartup = id != 0
    }
    guard isAwaitingStartup, let vector else { return }
    isAwaitingStartup = false
    let selector = UInt16(vector) << 8
    processor.cpu[.cs] = SegmentRegister(
      base: UInt64(vector) << 12, limit: 0xffff, selector: selector,
      attributes: SegmentAttributes(rawValue: 0x9b))
    processor.cpu.instructionPointer = 0
  }

  public func inject(interrupt vector: UInt8) throws(KVMError) {
    guard environment.chips == nil else {
      throw .unsupported("The machine's interrupt controller delivers interrupts.")
    }
    environment.queuedInterrupt = vector
    processor.doorbell.ring()
  }
}
