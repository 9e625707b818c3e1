public import GuestMemory
import X86

/// Where the tables of tiny guests lie in guest memory.
private enum Layout {
  static let code: UInt64 = 0x1000
  static let handler: UInt64 = 0x1080
  static let interruptTable: UInt64 = 0x2000
  static let globalTable: UInt64 = 0x3000
  static let stackTop: UInt64 = 0x9000
  static let pageTables: UInt64 = 0x1_0000
}

extension TinyGuest {
  /// Where linear 0x600000 leads in long mode: an address without RAM.
  static let deviceAddress: UInt64 = 0xd000_0000

  /// Present, writable, user.
  private static let tableFlags: UInt64 = 0x7
  private static let largePage: UInt64 = 0x80 | tableFlags

  /// RAM with the guest's code and the tables of its mode.
  public func makeMemory() throws -> GuestMemory {
    let memory = try GuestMemory(size: 2 << 20)
    try memory.write(code, at: Layout.code)
    for (address, bytes) in parts { try memory.write(bytes, at: address) }
    if mode != .real { try writeDescriptors(to: memory) }
    switch mode {
    case .real, .protected: break
    case .paged: try writeSmallPages(to: memory)
    case .extended:
      try memory.store(Layout.pageTables + 0x1000 | 1, at: Layout.pageTables)
      try writeLargePages(to: memory, at: Layout.pageTables + 0x1000)
    case .long:
      try memory.store(Layout.pageTables + 0x1000 | Self.tableFlags, at: Layout.pageTables)
      try memory.store(
        Layout.pageTables + 0x2000 | Self.tableFlags, at: Layout.pageTables + 0x1000)
      try writeLargePages(to: memory, at: Layout.pageTables + 0x2000)
    }
    return memory
  }

  /// A page directory of 2 MiB pages: RAM at 0 and again at 4 MiB, a device at 6 MiB.
  private func writeLargePages(to memory: GuestMemory, at table: UInt64) throws {
    try memory.store(Self.largePage, at: table)
    try memory.store(Self.largePage, at: table + 16)
    try memory.store(Self.deviceAddress | Self.largePage, at: table + 24)
  }

  /// 4 KiB pages: RAM at 0 and again at 4 MiB.
  private func writeSmallPages(to memory: GuestMemory) throws {
    let table = Layout.pageTables + 0x1000
    for entry in 0..<UInt64(2) {
      try memory.store(UInt32(table | Self.tableFlags), at: Layout.pageTables + entry * 4)
    }
    for page in 0..<UInt64(512) {
      try memory.store(UInt32(page << 12 | Self.tableFlags), at: table + page * 4)
    }
  }

  private func writeDescriptors(to memory: GuestMemory) throws {
    let code: UInt64 = mode == .long ? 0x00af_9b00_0000_ffff : 0x00cf_9b00_0000_ffff
    let descriptors: [UInt64] = [
      0, code, 0x00cf_9300_0000_ffff,  // kernel code and data
      0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,  // user data and code
    ]
    for (index, descriptor) in descriptors.enumerated() {
      try memory.store(descriptor, at: Layout.globalTable + UInt64(index) * 8)
    }
    // The breakpoint's 64-bit gate, which user mode may use too.
    let gate = Layout.handler | 8 << 16 | 0xee00 << 32
    try memory.store(gate, at: Layout.interruptTable + 3 * 16)
  }

  func makeRegisters() -> Registers {
    var registers = Registers()
    registers.rip = Layout.code
    registers.rsp = Layout.stackTop
    return registers
  }

  func makeSpecialRegisters(from reset: SpecialRegisters) -> SpecialRegisters {
    var registers = reset
    guard mode != .real else {
      registers.cs = .realMode(selector: 0)
      return registers
    }
    registers.gdt = DescriptorTable(base: Layout.globalTable, limit: 5 * 8 - 1)
    registers.idt = DescriptorTable(base: Layout.interruptTable, limit: 0xfff)
    registers.setData(.flatData(selector: 0x10))
    registers.cs = mode == .long ? .flatCode64(selector: 8) : .flatCode32(selector: 8)
    registers.cr0 = [.protection, .extensionType, .numericError]
    if mode == .protected { return registers }

    registers.cr0.formUnion([.paging, .writeProtect])
    registers.cr3 = Layout.pageTables
    if mode != .paged { registers.cr4.insert(.physicalAddressExtension) }
    if mode == .long {
      registers.cr4.formUnion([.fxsr, .simdExceptions])
      registers.efer = [.longModeEnable, .longModeActive, .systemCall]
    }
    return registers
  }

  /// STAR, LSTAR and FMASK for the guest that makes a system call.
  func makeModelSpecificRegisters() -> [ModelSpecificRegister] {
    guard mode == .long else { return [] }
    return [
      ModelSpecificRegister(0xc000_0081, 0x0013_0008 << 32),
      ModelSpecificRegister(0xc000_0082, Layout.handler),
      ModelSpecificRegister(0xc000_0084, 0x200),
    ]
  }
}
