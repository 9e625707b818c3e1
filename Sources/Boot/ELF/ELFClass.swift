/// How wide an ELF file's addresses are, and so where the fields of its headers lie.
///
/// Reference: System V ABI, chapter 4, "ELF Header", and chapter 5, "Program Header".
public enum ELFClass: UInt8, Hashable, Sendable {
  case bits32 = 1
  case bits64 = 2

  /// The machine number of x86 in this width.
  var machine: UInt16 { self == .bits32 ? 3 : 62 }

  var headerSize: UInt64 { self == .bits32 ? 52 : 64 }
  /// Offsets in the ELF header: where the program headers are, their size and their number.
  var tableField: UInt64 { self == .bits32 ? 28 : 32 }
  var sizeField: UInt64 { self == .bits32 ? 42 : 54 }
  var countField: UInt64 { self == .bits32 ? 44 : 56 }

  var programHeaderSize: UInt64 { self == .bits32 ? 32 : 56 }

  /// The address or offset at `position`.
  func address(_ file: RawSpan, at position: UInt64) -> UInt64? {
    self == .bits64
      ? file.integer(UInt64.self, at: position)
      : file.integer(UInt32.self, at: position).map(UInt64.init)
  }
}

/// One entry of the program header table.
struct ProgramHeader {
  enum Kind: UInt32 {
    case load = 1
    case interpreter = 3
    case note = 4
  }

  let type: Kind?
  let offset, virtualAddress, physicalAddress, fileSize, memorySize: UInt64

  init?(_ file: RawSpan, at position: UInt64, _ fileClass: ELFClass) {
    // The type comes first; 64-bit files have the flags next to it, 32-bit files elsewhere.
    let width: UInt64 = fileClass == .bits32 ? 4 : 8
    func field(_ index: UInt64) -> UInt64? {
      fileClass.address(file, at: position + width * index)
    }
    guard let type = file.integer(UInt32.self, at: position),
      let offset = field(1), let virtualAddress = field(2), let physicalAddress = field(3),
      let fileSize = field(4), let memorySize = field(5)
    else { return nil }
    self.type = Kind(rawValue: type)
    (self.offset, self.virtualAddress) = (offset, virtualAddress)
    self.physicalAddress = physicalAddress
    (self.fileSize, self.memorySize) = (fileSize, memorySize)
  }

  /// The file range, if it is inside a file of `size` bytes.
  func range(within size: UInt64) -> Range<UInt64>? {
    guard offset <= size, fileSize <= size - offset else { return nil }
    return offset..<offset + fileSize
  }

  /// The segment; `nil` when it is empty.
  func segment(_ index: Int, _ size: UInt64) throws(KernelImageError) -> ELFKernel.Segment? {
    if memorySize == 0 && fileSize == 0 { return nil }
    guard let range = range(within: size) else {
      throw .brokenELF(.segmentOutsideFile(index: index))
    }
    if fileSize > memorySize { throw .brokenELF(.segmentLargerThanItsMemory(index: index)) }
    if physicalAddress.addingReportingOverflow(memorySize).overflow {
      throw .brokenELF(.segmentAddressOverflow(index: index))
    }
    return ELFKernel.Segment(
      fileRange: range, physicalAddress: physicalAddress, memorySize: memorySize,
      virtualAddress: virtualAddress)
  }
}
