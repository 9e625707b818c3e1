/// Hyper-V's model-specific registers.
///
/// Reference: Hypervisor Top-Level Functional Specification, "Synthetic MSRs".
enum HyperVRegister {
  /// All of them lie here, with gaps.
  static let all: ClosedRange<UInt32> = 0x4000_0000...0x4000_0108

  // Of the partition: one for all processors.
  static let guestIdentity: UInt32 = 0x4000_0000
  static let hypercallPage: UInt32 = 0x4000_0001
  static let reset: UInt32 = 0x4000_0003
  static let referenceTime: UInt32 = 0x4000_0020
  static let referencePage: UInt32 = 0x4000_0021
  static let debuggerControl: UInt32 = 0x4000_00f1
  static let debuggerStatus: UInt32 = 0x4000_00f2
  static let debuggerSendPage: UInt32 = 0x4000_00f3
  static let debuggerReceivePage: UInt32 = 0x4000_00f4
  static let debuggerPendingPage: UInt32 = 0x4000_00f5
  static let debuggerOptions: UInt32 = 0x4000_00ff
  static let crashParameters: ClosedRange<UInt32> = 0x4000_0100...0x4000_0104
  static let crashControl: UInt32 = 0x4000_0105
  static let reenlightenment: UInt32 = 0x4000_0106
  static let emulationControl: UInt32 = 0x4000_0107
  static let emulationStatus: UInt32 = 0x4000_0108

  // Of each processor.
  static let processorIndex: UInt32 = 0x4000_0002
  static let runTime: UInt32 = 0x4000_0010
  static let counterFrequency: UInt32 = 0x4000_0022
  static let timerFrequency: UInt32 = 0x4000_0023
  static let endOfInterrupt: UInt32 = 0x4000_0070
  static let interruptCommand: UInt32 = 0x4000_0071
  static let taskPriority: UInt32 = 0x4000_0072
  static let assistPage: UInt32 = 0x4000_0073
  static let synicControl: UInt32 = 0x4000_0080
  static let synicVersion: UInt32 = 0x4000_0081
  static let eventPage: UInt32 = 0x4000_0082
  static let messagePage: UInt32 = 0x4000_0083
  static let endOfMessage: UInt32 = 0x4000_0084
  static let interruptSources: ClosedRange<UInt32> = 0x4000_0090...0x4000_009f
  /// For each of four timers its configuration and its count.
  static let timers: ClosedRange<UInt32> = 0x4000_00b0...0x4000_00b7

  static func isOfDebugger(_ number: UInt32) -> Bool {
    (debuggerControl...debuggerPendingPage).contains(number) || number == debuggerOptions
  }

  /// The synthetic interrupt controller's.
  static func isOfSynic(_ number: UInt32) -> Bool {
    (synicControl...endOfMessage).contains(number) || interruptSources.contains(number)
  }

  /// Those that KVM_GET_MSR_INDEX_LIST names. The others go without saying.
  static let listed: [UInt32] =
    [
      guestIdentity, hypercallPage, referenceTime, referencePage, counterFrequency,
      timerFrequency, crashControl, reset, processorIndex, runTime, synicControl,
      timers.lowerBound, assistPage, reenlightenment, emulationControl, emulationStatus,
      debuggerOptions, debuggerControl, debuggerStatus, debuggerSendPage, debuggerReceivePage,
      debuggerPendingPage,
    ] + crashParameters
}
