/// Exceptions by vector. Reference: SDM vol. 3A, section 6.3.
public enum ExceptionVector: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  case divideError = 0
  case debug, nonMaskableInterrupt, breakpoint, overflow, boundRange, invalidOpcode
  case deviceNotAvailable, doubleFault, coprocessorSegment, invalidTaskState, segmentNotPresent
  case stackFault, generalProtection, pageFault
  case floatingPoint = 16
  case alignmentCheck, machineCheck, simdFloatingPoint

  /// Whether delivering it pushes an error code.
  @inlinable
  public var hasErrorCode: Bool {
    switch self {
    case .doubleFault, .invalidTaskState, .segmentNotPresent, .stackFault, .generalProtection,
      .pageFault, .alignmentCheck:
      true
    default: false
    }
  }
}
