internal import X86

/// The last 512 bytes of a state-save area: offsets 0x7e00 to 0x7fff from 32 KiB above SMBASE.
struct SaveArea {
  static let start: UInt64 = 0x7e00
  static let size = 512
  private var bytes: InlineArray<512, UInt8> = .init(repeating: 0)

  init() {}

  subscript(byte index: Int) -> UInt8 {
    get { bytes[index] }
    set { bytes[index] = newValue }
  }

  /// The number of 2, 4 or 8 bytes at an offset.
  subscript(offset: UInt64, size: Int) -> UInt64 {
    get {
      (0..<size).reduce(0) {
        $0 | UInt64(bytes[Int(offset - Self.start) + $1]) << UInt64(8 * $1)
      }
    }
    set {
      for index in 0..<size {
        bytes[Int(offset - Self.start) + index] = UInt8(
          truncatingIfNeeded: newValue >> UInt64(8 * index))
      }
    }
  }

  private func table(base: UInt64, limit: UInt64) -> DescriptorTable {
    DescriptorTable(base: base, limit: UInt16(truncatingIfNeeded: limit))
  }

  private func attributes(_ value: UInt64) -> SegmentAttributes {
    SegmentAttributes(rawValue: UInt16(truncatingIfNeeded: value) & 0xf0ff)
  }

  private func flags(_ value: UInt64) -> RFLAGS {
    RFLAGS(rawValue: value & RFLAGS.writable.rawValue).union(.fixed)
  }
}

/// What RSM loads with the checks of the instructions that load it.
struct SavedControls {
  var cr0: UInt64
  var cr3: UInt64
  var cr4: UInt64
  var efer: UInt64 = 0
  var dr6: UInt64
  var dr7: UInt64
}

/// Processors with long mode. Reference: AMD64 Architecture Programmer's Manual vol. 2, table 10-1.
extension SaveArea {
  /// 16 bytes each: selector, attributes, limit, base.
  private static let longSegments: [(SegmentName, UInt64)] = [
    (.es, 0x7e00), (.cs, 0x7e10), (.ss, 0x7e20), (.ds, 0x7e30), (.fs, 0x7e40), (.gs, 0x7e50),
    (.localTable, 0x7e70), (.task, 0x7e90),
  ]

  init(long cpu: CPUState) {
    for index in 0..<16 { self[0x7ff8 - UInt64(index) * 8, 8] = cpu.registers[index] }
    self[0x7f78, 8] = cpu.instructionPointer
    self[0x7f70, 8] = cpu.flags.rawValue
    self[0x7f68, 8] = cpu.debugRegisters[6]
    self[0x7f60, 8] = cpu.debugRegisters[7]
    self[0x7f58, 8] = cpu.cr0.rawValue
    self[0x7f50, 8] = cpu.cr3
    self[0x7f48, 8] = cpu.cr4.rawValue
    self[0x7f00, 4] = cpu.managementBase
    self[0x7efc, 4] = 0x2_0064  // the revision: SMBASE may be changed
    self[0x7ed0, 8] = cpu.efer.rawValue
    for (name, offset) in Self.longSegments {
      self[offset, 2] = UInt64(cpu[name].selector)
      self[offset + 2, 2] = UInt64(cpu[name].attributes.rawValue)
      self[offset + 4, 4] = UInt64(cpu[name].limit)
      self[offset + 8, 8] = cpu[name].base
    }
    (self[0x7e64, 4], self[0x7e68, 8]) = (UInt64(cpu.globalTable.limit), cpu.globalTable.base)
    let interrupts = cpu.interruptTable
    (self[0x7e84, 4], self[0x7e88, 8]) = (UInt64(interrupts.limit), interrupts.base)
  }

  var longControls: SavedControls {
    SavedControls(
      cr0: self[0x7f58, 8], cr3: self[0x7f50, 8], cr4: self[0x7f48, 8], efer: self[0x7ed0, 8],
      dr6: self[0x7f68, 8], dr7: self[0x7f60, 8])
  }

  func restoreLong(_ cpu: inout CPUState) {
    for index in 0..<16 { cpu.registers[index] = self[0x7ff8 - UInt64(index) * 8, 8] }
    cpu.instructionPointer = self[0x7f78, 8]
    cpu.flags = flags(self[0x7f70, 4])
    cpu.debugRegisters[6] = self[0x7f68, 4]
    cpu.debugRegisters[7] = self[0x7f60, 4]
    cpu.managementBase = self[0x7f00, 4]
    for (name, offset) in Self.longSegments {
      cpu[name] = SegmentRegister(
        base: self[offset + 8, 8], limit: UInt32(truncatingIfNeeded: self[offset + 4, 4]),
        selector: UInt16(truncatingIfNeeded: self[offset, 2]),
        attributes: attributes(self[offset + 2, 2]))
    }
    cpu.globalTable = table(base: self[0x7e68, 8], limit: self[0x7e64, 4])
    cpu.interruptTable = table(base: self[0x7e88, 8], limit: self[0x7e84, 4])
  }
}

/// Processors without it.
extension SaveArea {
  /// Where the selector is, and where attributes, limit and base are, 4 bytes each.
  private static let shortSegments: [(SegmentName, UInt64, UInt64)] = [
    (.es, 0x7fa8, 0x7f84), (.cs, 0x7fac, 0x7f90), (.ss, 0x7fb0, 0x7f9c), (.ds, 0x7fb4, 0x7f2c),
    (.fs, 0x7fb8, 0x7f38), (.gs, 0x7fbc, 0x7f44), (.localTable, 0x7fc0, 0x7f78),
    (.task, 0x7fc4, 0x7f5c),
  ]

  init(short cpu: CPUState) {
    self[0x7ffc, 4] = cpu.cr0.rawValue
    self[0x7ff8, 4] = cpu.cr3
    self[0x7ff4, 4] = cpu.flags.rawValue
    self[0x7ff0, 4] = cpu.instructionPointer
    for index in 0..<8 { self[0x7fd0 + UInt64(index) * 4, 4] = cpu.registers[index] }
    self[0x7fcc, 4] = cpu.debugRegisters[6]
    self[0x7fc8, 4] = cpu.debugRegisters[7]
    for (name, selector, offset) in Self.shortSegments {
      self[selector, 4] = UInt64(cpu[name].selector)
      self[offset, 4] = UInt64(cpu[name].attributes.rawValue) << 8
      self[offset + 4, 4] = UInt64(cpu[name].limit)
      self[offset + 8, 4] = cpu[name].base
    }
    (self[0x7f70, 4], self[0x7f74, 4]) = (UInt64(cpu.globalTable.limit), cpu.globalTable.base)
    let interrupts = cpu.interruptTable
    (self[0x7f54, 4], self[0x7f58, 4]) = (UInt64(interrupts.limit), interrupts.base)
    self[0x7f14, 4] = cpu.cr4.rawValue
    self[0x7efc, 4] = 0x2_0000
    self[0x7ef8, 4] = cpu.managementBase
  }

  var shortControls: SavedControls {
    SavedControls(
      cr0: self[0x7ffc, 4], cr3: self[0x7ff8, 4], cr4: self[0x7f14, 4], dr6: self[0x7fcc, 4],
      dr7: self[0x7fc8, 4])
  }

  func restoreShort(_ cpu: inout CPUState) {
    cpu.flags = flags(self[0x7ff4, 4])
    cpu.instructionPointer = self[0x7ff0, 4]
    for index in 0..<8 { cpu.registers[index] = self[0x7fd0 + UInt64(index) * 4, 4] }
    cpu.debugRegisters[6] = self[0x7fcc, 4]
    cpu.debugRegisters[7] = self[0x7fc8, 4]
    for (name, selector, offset) in Self.shortSegments {
      cpu[name] = SegmentRegister(
        base: self[offset + 8, 4], limit: UInt32(truncatingIfNeeded: self[offset + 4, 4]),
        selector: UInt16(truncatingIfNeeded: self[selector, 4]),
        attributes: attributes(self[offset, 4] >> 8))
    }
    cpu.globalTable = table(base: self[0x7f74, 4], limit: self[0x7f70, 4])
    cpu.interruptTable = table(base: self[0x7f58, 4], limit: self[0x7f54, 4])
    cpu.managementBase = self[0x7ef8, 4]
  }
}
