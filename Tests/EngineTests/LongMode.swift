import Engine
import GuestMemory
import X86

extension GuestMemory {
  /// Writes page tables that map the first 32 MiB where they are, for all; the first is at 0x1000.
  func mapStart() throws {
    try store(UInt64(0x2000 | 7), at: 0x1000)
    try store(UInt64(0x3000 | 7), at: 0x2000)
    for index in 0..<UInt64(16) { try store(index << 21 | 0x87, at: 0x3000 + index * 8) }
  }
}

extension Processor {
  /// Sets registers as a 64-bit kernel has them that runs on the tables of
  /// ``GuestMemory/mapStart()``.
  func enterLongMode() {
    cpu.cr3 = 0x1000
    cpu.cr0 = [.protection, .paging, .extensionType, .writeProtect]
    cpu.cr4 = [.physicalAddressExtension, .fxsr, .xsave]
    cpu.xcr0 = 7
    cpu.efer = [.longModeEnable, .longModeActive]
    cpu[.cs] = SegmentRegister(
      base: 0, limit: .max, selector: 8, attributes: .init(rawValue: 0xa09b))
    cpu[.ss] = SegmentRegister(
      base: 0, limit: .max, selector: 16, attributes: .init(rawValue: 0xc093))
  }
}
