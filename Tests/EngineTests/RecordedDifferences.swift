import Engine

/// Where processors since the 386 do something else than the 286 that the cases were recorded
/// from, case by case.
struct RecordedDifferences {
  /// LOCK before an instruction that does not read, change and write memory: the 286 runs it,
  /// later processors raise #UD.
  var lockIsUndefined = false
  /// The 286 allows 10 bytes, later processors 15.
  var isLong = false
  /// The 286 has no FS and GS, and raises #UD for MOV to and from them.
  var namesNewSegment = false
  /// OF after byte shifts and rotates by more than one is undefined on later processors.
  var overflowIsUndefined = false
  /// A string instruction whose word lies across the segment's end: the 286 has advanced SI, DI
  /// and CX before it faults.
  var advancesBeforeFault = false
  /// A stack word across the segment's end: vector 13 on the 286, 12 (#SS) on later processors.
  var isStackFault = false

  init(_ test: RecordedCase, form: String) {
    var instruction = Instruction()
    let code = test.bytes + [UInt8](repeating: 0, count: 16)
    let result = decode(
      code.span.bytes, codeSize: .bits16, features: .all, into: &instruction)
    guard result == .decoded else { return }
    let opcode = form.prefix(2)
    lockIsUndefined = instruction.prefixes.contains(.lock) && instruction.operation == .undefined
    isLong = instruction.length > 10 && test.exception != nil
    namesNewSegment =
      (opcode == "8C" || opcode == "8E") && instruction.modRMRegister >= 4
      && instruction.modRMRegister < 6
    overflowIsUndefined = opcode == "C0" && instruction.immediate & 31 != 1
    let overruns = test.exception?.number == 13
    switch instruction.operation {
    case .moveString, .compareString, .storeString, .loadString, .scanString, .inputString,
      .outputString:
      advancesBeforeFault = overruns
    case .pop, .popSegment, .popFlags, .popAll, .leave, .returnNear, .returnFar, .interruptReturn:
      isStackFault = overruns
    default: break
    }
  }

  /// Whether the case says nothing of later processors.
  var isSkipped: Bool { isLong || namesNewSegment }
}
