import Engine
import Glibc
public import KVM
import X86

/// Events on their way. Reference: KVM API, sections 4.31 and 4.38.
extension SoftCPU: EventfulCPU {
  public func events() throws(KVMError) -> ProcessorEvents {
    var events = ProcessorEvents()
    if let pending = processor.pendingException {
      // Without the capability, the two are not told apart.
      let isPending = !pending.isInjected && machine.settings.has(.exceptionPayload)
      events.exception.isInjected = !isPending
      events.exception.isPending = isPending
      (events.exception.vector, events.exception.errorCode) = (pending.vector, pending.errorCode)
      if isPending { events.exception.payload = pending.payload }
    }
    if let vector = environment.queuedInterrupt {
      (events.interrupt.isInjected, events.interrupt.vector) = (true, vector)
    }
    let shadow = processor.cpu.interruptShadow
    if shadow != 0 {
      events.interrupt.shadow =
        Engine.InterruptShadow.isOfStack(shadow) ? .moveToStackSegment : .setInterruptFlag
    }
    events.nonMaskable.pending = mailbox.hasNonMaskable ? 1 : 0
    events.nonMaskable.isBlocked = processor.cpu.nmiBlocked != 0
    events.systemManagement = systemManagement
    events.valid = [.nonMaskablePending, .shadow, .systemManagement]
    if machine.settings.has(.exceptionPayload) { events.valid.insert(.payload) }
    if machine.settings.has(.x86TripleFaultEvent) {
      events.valid.insert(.tripleFault)
      events.hasTripleFault = environment.hasTripleFault
    }
    return events
  }

  public func setEvents(_ events: ProcessorEvents) throws(KVMError) {
    finishInstruction()
    let exception = try checkedException(events)
    try setSystemManagement(events)
    processor.pendingException = exception
    environment.queuedInterrupt = events.interrupt.isInjected ? events.interrupt.vector : nil
    if events.valid.contains(.shadow) {
      let shadow = events.interrupt.shadow
      processor.cpu.interruptShadow =
        shadow.isEmpty
        ? 0
        : shadow.contains(.moveToStackSegment)
          ? Engine.InterruptShadow.stackSegment : Engine.InterruptShadow.setInterrupt
    }
    let wasBlocked = processor.cpu.nmiBlocked != 0
    processor.cpu.nmiBlocked = events.nonMaskable.isBlocked ? 1 : 0
    if events.nonMaskable.isInjected { mailbox.post(.nonMaskable) }
    if events.valid.contains(.nonMaskablePending), !events.nonMaskable.isInjected {
      mailbox.setNonMaskable(events.nonMaskable.pending)
    }
    // An injected one is to be delivered although it already blocks others.
    if events.nonMaskable.isInjected && !wasBlocked { processor.cpu.nmiBlocked = 0 }
    if events.valid.contains(.tripleFault) { environment.hasTripleFault = events.hasTripleFault }
    processor.doorbell.ring()
  }

  /// The exception that the events say; EINVAL for what cannot be.
  private func checkedException(
    _ events: ProcessorEvents
  ) throws(KVMError) -> PendingException? {
    let hasPayloads = machine.settings.has(.exceptionPayload)
    if events.valid.contains(.payload) && !hasPayloads
      || events.valid.contains(.tripleFault) && !machine.settings.has(.x86TripleFaultEvent)
    {
      throw .refused(call: "KVM_SET_VCPU_EVENTS", errno: EINVAL)
    }
    let exception = events.exception
    let isPending = events.valid.contains(.payload) && exception.isPending
    guard isPending || exception.isInjected else { return nil }
    guard exception.vector < 32, exception.vector != 2 else {
      throw .refused(call: "KVM_SET_VCPU_EVENTS", errno: EINVAL)
    }
    return PendingException(
      vector: exception.vector, errorCode: exception.errorCode,
      payload: isPending ? exception.payload : nil, isInjected: !isPending)
  }

  public func activity() throws(KVMError) -> ProcessorActivity {
    finishInstruction()
    serveStartup()
    if waiting != .nothing { return waiting == .startup ? .initReceived : .uninitialized }
    return processor.cpu.halted != 0 ? .halted : .runnable
  }

  public func setActivity(_ activity: ProcessorActivity) throws(KVMError) {
    finishInstruction()
    let isKnown: Bool =
      switch activity {
      case .runnable: true
      case .uninitialized, .initReceived, .halted, .startupReceived: environment.chips != nil
      default: false
      }
    // INIT has to wait for the mode's end.
    let latchesReset = environment.isInManagement || mailbox.hasSystemManagement
    guard isKnown, !latchesReset || ![.initReceived, .startupReceived].contains(activity) else {
      throw .refused(call: "KVM_SET_MP_STATE", errno: EINVAL)
    }
    switch activity {
    case .uninitialized: waiting = .initialization
    case .initReceived, .startupReceived: waiting = .startup
    default: waiting = .nothing
    }
    if activity == .startupReceived { mailbox.post(.startup(vector: startupVector)) }
    processor.cpu.halted = activity == .halted ? 1 : 0
  }

  public func raiseNonMaskable() throws(KVMError) { mailbox.post(.nonMaskable) }
}
