import Engine
import Machine

extension ProcessorReport {
  /// The instruction at the instruction pointer, in hexadecimal and in words; `nil` where its bytes
  /// are not known.
  var instructionText: String? {
    guard !code.isEmpty else { return nil }
    let size: CodeSize =
      specialRegisters.cs.attributes[.long] && specialRegisters.efer.contains(.longModeActive)
      ? .bits64 : specialRegisters.cs.attributes[.defaultBig] ? .bits32 : .bits16
    var instruction = Instruction()
    let all = FeatureSet(rawValue: .max)
    let result = unsafe decode(code.span.bytes, codeSize: size, features: all, into: &instruction)
    guard result == .decoded else { return hexadecimal(code) }
    let bytes = hexadecimal(Array(code.prefix(Int(instruction.length))))
    return "\(bytes)  \(Disassembler.text(instruction, at: registers.rip))"
  }

  private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: " ")
  }
}
