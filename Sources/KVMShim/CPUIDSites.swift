import CShim
import Engine

/// Finds the next CPUID instruction of a program's code, by decoding that from `offset` on.
///
/// - Returns: Its offset; `count` when there is none.
@c(apus_shim_find_cpuid)
func findCPUID(_ code: UnsafePointer<UInt8>, _ count: Int, _ offset: Int) -> Int {
  let bytes = unsafe UnsafeRawBufferPointer(start: code, count: count).bytes
  var instruction = Instruction()
  var offset = offset
  while offset + 1 < count {
    let isCPUID = unsafe code[offset] == 0x0f && code[offset + 1] == 0xa2
    if isCPUID { return offset }
    let rest = bytes.extracting(offset..<count)
    let result = decode(rest, codeSize: .bits64, features: .all, into: &instruction)
    // What is no code may lie between functions.
    offset += result == .decoded ? max(Int(instruction.length), 1) : 1
  }
  return count
}
