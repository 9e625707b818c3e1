import CLinux
import CShim
import KVM
import KVMABI
import KVMSoft

/// What a run begins with, beside the shared area.
struct RunState {
  /// The signals that are blocked during a run, if not the thread's own.
  var signalMask: UInt64?
  /// The exit that the program has been told, until the next run.
  var waiting = Exit.stopped(.interrupted)
  /// It is to end before it has run anything.
  var mustStop = false
}

extension ProcessorFile {
  /// KVM_RUN: completes what the last one ended with, then runs the guest.
  func run(_ argument: UserAddress) throws(KVMError) -> Int {
    guard argument.value == 0 else { throw .invalid }
    unsafe apus_shim_set_running(Unmanaged.passUnretained(self).toOpaque())
    state.mustStop = letSignalsIn() || area.isImmediateExit
    // First: setting special registers completes the instruction that waits for the answer.
    takeAnswer()
    try loadRegisters()
    cpu.requestInterruptWindow(area.content.request_interrupt_window != 0)
    cpu.setTaskPriority(area.content.cr8)
    if state.mustStop || apus_shim_is_signalled() != 0 { cpu.doorbell.ring() }
    let exit = try runGuest()
    state.waiting = exit
    area.status = cpu.status
    // As KVM does: a run that was to end at once leaves the exit before it readable.
    if exit != .stopped(.interrupted) || !area.isImmediateExit { report(exit) }
    try storeRegisters()
    switch exit {
    case .stopped(.interrupted): throw cpu.wasInitialized ? .again : .interrupted
    case .stopped(.memoryFault): throw .badAddress
    default: return 0
    }
  }

  private func report(_ exit: Exit) {
    area.report(exit, details: cpu.exitDetails)
    guard case .portWrite(_, _, _, let count) = exit, count > 1 else { return }
    cpu.withPortData { elements in area.withPortData { data in copy(elements, to: &data) } }
  }

  private func copy(_ source: borrowing MutableRawSpan, to target: inout MutableRawSpan) {
    for byte in 0..<min(source.byteCount, target.byteCount) {
      let value = unsafe source.bytes.unsafeLoad(fromByteOffset: byte, as: UInt8.self)
      target.storeBytes(of: value, toByteOffset: byte, as: UInt8.self)
    }
  }

  /// Puts the mask of KVM_SET_SIGNAL_MASK in force; whether a signal waits already.
  private func letSignalsIn() -> Bool {
    guard let mask = state.signalMask else { return false }
    return apus_shim_swap_mask(mask) != 0
  }

  /// Gives the processor what the program put into the shared area.
  func takeAnswer() {
    switch state.waiting {
    case .portRead:
      cpu.withPortData { elements in area.withPortData { data in copy(data, to: &elements) } }
    case .memoryRead(_, let size):
      let value: UInt64 = unsafe unsafeBitCast(area.content.mmio.data, to: UInt64.self)
      cpu.answer(size < 8 ? value & ((1 << UInt64(size * 8)) - 1) : value)
    case .modelSpecificRead:
      if area.content.msr.error != 0 { cpu.refuse() }
      cpu.answer(area.content.msr.data)
    case .modelSpecificWrite: if area.content.msr.error != 0 { cpu.refuse() }
    case .hypercall: cpu.answer(area.content.hypercall.ret)
    case .hyperV(.hypercall): cpu.answer(unsafe area.content.hyperv.u.hcall.result)
    case .hyperV(.debugger): cpu.answer(unsafe area.content.hyperv.u.syndbg.status)
    default: break
    }
    state.waiting = .stopped(.interrupted)
  }

  /// Runs to an exit that the program is to hear of. A ring that no signal and no program is the
  /// reason of comes from a moment before, and means nothing.
  private func runGuest() throws(KVMError) -> Exit {
    while true {
      let exit = try cpu.run()
      guard case .stopped(.interrupted) = exit else { return exit }
      let isWanted = apus_shim_is_signalled() != 0 || area.isImmediateExit || state.mustStop
      if isWanted || cpu.wasInitialized { return exit }
    }
  }
}
