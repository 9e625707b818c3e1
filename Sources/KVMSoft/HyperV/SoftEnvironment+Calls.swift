import Engine
import Glibc
import KVM

/// Calls of Hyper-V's interface.
extension SoftEnvironment {
  /// Whether VMCALL and VMMCALL are Hyper-V's calls.
  var takesHyperVCalls: Bool { hyperV.features.isPresent && partition.takesCalls }

  /// Does a call; returns what RAX is to hold, `nil` for #UD.
  func hyperVCall() -> UInt64? {
    guard let processor, processor.cpu.privilege == 0, processor.cpu.cr0.contains(.protection),
      let result = perform(processor.hyperVCall)
    else { return nil }
    // Outside 64-bit mode the result is in two halves.
    if !processor.cpu.is64Bit { processor.cpu.registers[2] = result >> 32 }
    return result
  }

  private func perform(_ call: HyperVCall) -> UInt64? {
    guard let code = call.code else { return HyperVCall.Status.invalidCode.rawValue }
    guard hyperV.features.offers(code) else { return HyperVCall.Status.accessDenied.rawValue }
    if call.isFast, code.takesVectors, !hyperV.features.hasVectorInput { return nil }
    switch code {
    case .postDebugData, .retrieveDebugData, .resetDebugSession:
      return debuggerCall(call, code)
    default: break
    }
    guard call.isWellFormed(code) else { return HyperVCall.Status.invalidInput.rawValue }
    return switch code {
    case .notifyLongSpin: letOthersRun()
    case .postMessage: passOn(call)
    case .signalEvent: signalEvent(call)
    case .sendInterrupt, .sendInterruptExtended: sendInterrupt(call, code).rawValue
    default: flush(call, code)
    }
  }

  private func letOthersRun() -> UInt64 {
    sched_yield()
    return HyperVCall.Status.success.rawValue
  }

  // MARK: Calls that are the client's

  /// Has the client do the call, if it is prepared for any.
  private func passOn(_ call: HyperVCall) -> UInt64 {
    guard hyperV.isActive else { return HyperVCall.Status.invalidInput.rawValue }
    return exit(call)
  }

  private func exit(_ call: HyperVCall) -> UInt64 {
    let exit = HyperVExit.hypercall(input: call.control, [call.input, call.output])
    return relay?.leave(.hyperV(exit), value: 0) ?? HyperVCall.Status.invalidInput.rawValue
  }

  private func debuggerCall(_ call: HyperVCall, _ code: HyperVCall.Code) -> UInt64 {
    guard call.isWellFormed(code) else { return HyperVCall.Status.invalidInput.rawValue }
    if call.isFast, code != .resetDebugSession {
      return HyperVCall.Status.invalidParameter.rawValue
    }
    guard hyperV.features.hasDebugger else { return HyperVCall.Status.invalidCode.rawValue }
    guard partition.offersDebuggerCalls else {
      return HyperVCall.Status.operationDenied.rawValue
    }
    return exit(call)
  }

  /// Signals the connection's eventfd; those without are the client's.
  private func signalEvent(_ call: HyperVCall) -> UInt64 {
    var connection = call.input
    if !call.isFast {
      guard call.input & 7 == 0, let loaded = try? memory.load(UInt64.self, at: call.input) else {
        return HyperVCall.Status.invalidAlignment.rawValue
      }
      connection = loaded
    }
    // No flag but the first, at which the lookup fails as it does without a connection.
    if connection & 0xffff_0000_0000 != 0 { return passOn(call) }
    guard connection & ~UInt64(HyperVPartition.largestConnection) == 0 else {
      return HyperVCall.Status.invalidInput.rawValue
    }
    return partition.signal(UInt32(connection))
      ? HyperVCall.Status.success.rawValue : passOn(call)
  }

  // MARK: Calls that concern other processors

  private func sendInterrupt(_ call: HyperVCall, _ code: HyperVCall.Code) -> HyperVCall.Status {
    guard let chips, let first = word(0, of: call) else { return .invalidInput }
    let set: HyperVProcessorSet?
    if code == .sendInterrupt {
      if call.isFast, first >> 32 != 0 { return .invalidInput }
      set = word(1, of: call).map { HyperVProcessorSet(mask: $0) }
    } else {
      set = processorSet(of: call, at: 1)
      // A format that is not known is a set.
      if set?.isEmpty == true { return .success }
    }
    let vector = UInt8(exactly: first & 0xffff_ffff)
    guard let set, let vector, vector >= 16 else { return .invalidInput }
    for target in partition.processors where set.contains(target.index) {
      chips.controller.deliver(vector: vector, to: target.local)
    }
    return .success
  }

  /// Drops translations. As a full flush does for any address and address space, all processors
  /// have one.
  private func flush(_ call: HyperVCall, _ code: HyperVCall.Code) -> UInt64 {
    let isExtended = code == .flushAddressSpaceExtended || code == .flushAddressListExtended
    let isValid =
      isExtended ? processorSet(of: call, at: 2) != nil : word(2, of: call) != nil
    guard isValid else { return HyperVCall.Status.invalidInput.rawValue }
    memory.flushTranslations()
    // All elements are done.
    return HyperVCall.Status.success.rawValue | call.repeatCount << 32
  }

  /// A word of the input.
  private func word(_ index: Int, of call: HyperVCall) -> UInt64? {
    guard call.isFast else {
      return try? memory.load(UInt64.self, at: call.input &+ UInt64(8 * index))
    }
    switch index {
    case 0: return call.input
    case 1: return call.output
    // XMM0 to XMM5.
    case 2..<14:
      let pair = processor?.vectorRegister(index / 2 - 1)
      return index & 1 == 0 ? pair?.low : pair?.high
    default: return nil
    }
  }

  /// A set of processors in the input from a word on: format, banks, and their masks.
  private func processorSet(of call: HyperVCall, at index: Int) -> HyperVProcessorSet? {
    guard let format = word(index, of: call), let banks = word(index + 1, of: call),
      banks.nonzeroBitCount == call.variableCount
    else { return nil }
    // Everybody.
    guard format != 1 else { return .all }
    var set = HyperVProcessorSet()
    var place = index + 2
    for bank in 0..<UInt32(64) where banks >> bank & 1 != 0 {
      guard let mask = word(place, of: call) else { return nil }
      set.banks[Int(bank)] = mask
      place += 1
    }
    return set
  }
}

/// Processors by the guest's numbers.
struct HyperVProcessorSet {
  /// 64 processors each.
  var banks: [64 of UInt64] = .init(repeating: 0)

  init() {}
  init(mask: UInt64) { banks[0] = mask }

  static let all: Self = {
    var set = Self()
    set.banks = .init(repeating: .max)
    return set
  }()

  var isEmpty: Bool { banks.indices.allSatisfy { banks[$0] == 0 } }

  func contains(_ index: UInt32) -> Bool {
    index < 4096 && banks[Int(index >> 6)] >> UInt64(index & 63) & 1 != 0
  }
}

extension Processor {
  /// What the registers say of a call.
  fileprivate var hyperVCall: HyperVCall {
    let registers = cpu.registers
    guard !cpu.is64Bit else {
      return HyperVCall(control: registers[1], input: registers[2], output: registers[8])
    }
    func pair(_ high: Int, _ low: Int) -> UInt64 {
      registers[high] << 32 | registers[low] & 0xffff_ffff
    }
    return HyperVCall(control: pair(2, 0), input: pair(3, 1), output: pair(7, 6))
  }
}
