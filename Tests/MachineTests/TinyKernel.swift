import Boot
import GuestMemory

/// An ELF kernel of one instruction, placed in `memory` with all that a kernel finds around it.
func tinyKernel(in memory: GuestMemory) throws -> InitialProcessorState {
  var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
  func append(_ value: UInt64, _ count: Int) {
    for index in 0..<count { file.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }
  let entry: UInt64 = 0x20_0000
  for (value, count) in [
    (2, 2), (62, 2), (1, 4), (entry, 8), (64, 8), (0, 8), (0, 4), (64, 2), (56, 2), (1, 2),
    (0, 2), (0, 2), (0, 2),
    // The one segment: loaded, readable and executable.
    (1, 4), (5, 4), (120, 8), (entry, 8), (entry, 8), (1, 8), (1, 8), (4096, 8),
  ] as [(UInt64, Int)] {
    append(value, count)
  }
  file.append(0xf4)
  let bytes = file.span.bytes
  let kernel = try KernelImage.identify(bytes)
  guard case .elf(let elf) = kernel else { throw KernelImageError.notAKernel(.unknown) }
  return try LinuxBoot(commandLine: "", platform: ACPIPlatform(processorCount: 1)).prepare(
    try elf.place(bytes, in: memory), initrd: [UInt8]().span.bytes, in: memory)
}
