/// The headers of an ELF kernel for x86-64, checked against its file.
///
/// Reference: System V ABI, chapter 4; AMD64 supplement, section 4.1.
public struct ELFKernel: Hashable, Sendable {
  /// A part of the file that belongs into memory.
  public struct Segment: Hashable, Sendable {
    public let fileRange: Range<UInt64>
    public let physicalAddress: UInt64
    public let memorySize: UInt64
    let virtualAddress: UInt64
  }

  /// The guest-physical address of the first 64-bit instruction.
  public let entry: UInt64
  /// In the order of the program headers, none empty.
  public let segments: [Segment]
  /// Where the notes are, as file offsets.
  let notes: [Range<UInt64>]

  static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
  private static let headerSize: UInt64 = 64
  private static let programHeaderSize: UInt64 = 56

  /// Physical addresses from the first to the last byte that the segments occupy.
  public var occupied: Range<UInt64> {
    let start = segments.map(\.physicalAddress).min() ?? 0
    return start..<segments.reduce(start) { max($0, $1.physicalAddress + $1.memorySize) }
  }

  /// Reads the headers of a file of `fileSize` bytes that begins with `head`.
  public init(head: RawSpan, fileSize: UInt64) throws(KernelImageError) {
    try Self.checkKind(head)
    let present = UInt64(head.byteCount)
    guard let entry = head.integer(UInt64.self, at: 24),
      let table = head.integer(UInt64.self, at: 32),
      let size = head.integer(UInt16.self, at: 54),
      let count = head.integer(UInt16.self, at: 56), present >= Self.headerSize
    else { throw .truncated(expected: Self.headerSize, present: present) }
    if UInt64(size) != Self.programHeaderSize { throw .brokenELF(.programHeaderSize(size)) }
    guard table <= present, UInt64(count) * UInt64(size) <= present - table else {
      throw .brokenELF(.programHeadersOutsideFile)
    }
    var segments: [Segment] = []
    var notes: [Range<UInt64>] = []
    for index in 0..<Int(count) {
      let header = ProgramHeader(head, at: table + UInt64(index) * Self.programHeaderSize)
      guard let header else { throw .brokenELF(.programHeadersOutsideFile) }
      switch header.type {
      case .load: if let segment = try header.segment(index, fileSize) { segments.append(segment) }
      case .note: if let range = header.range(within: fileSize) { notes.append(range) }
      case .interpreter: throw .notAKernel(.elfUserProgram)
      case nil: break
      }
    }
    if segments.isEmpty { throw .brokenELF(.nothingToLoad) }
    (self.segments, self.notes) = (segments, notes)
    self.entry = try Self.physicalEntry(entry, segments)
  }

  private static func checkKind(_ head: RawSpan) throws(KernelImageError) {
    let present = UInt64(head.byteCount)
    guard head.matches(magic) else { throw .notAKernel(FileKind.identify(head)) }
    guard let fileClass = head.integer(UInt8.self, at: 4),
      let order = head.integer(UInt8.self, at: 5), let type = head.integer(UInt16.self, at: 16),
      let machine = head.integer(UInt16.self, at: 18)
    else { throw .truncated(expected: headerSize, present: present) }
    if order != 1 { throw .notAKernel(.elfForMachine(machine.byteSwapped)) }
    if fileClass != 2 { throw .notAKernel(machine == 3 ? .elf32 : .elfForMachine(machine)) }
    if machine != 62 { throw .notAKernel(.elfForMachine(machine)) }
    // Executable, or position-independent; else a relocatable object or a core dump.
    if type != 2 && type != 3 { throw .notAKernel(.elfObject) }
  }

  /// Linux gives its entry as a physical address, other kernels the virtual one.
  private static func physicalEntry(
    _ entry: UInt64, _ segments: [Segment]
  ) throws(KernelImageError) -> UInt64 {
    for segment in segments
    where entry >= segment.physicalAddress
      && entry - segment.physicalAddress < segment.memorySize
    {
      return entry
    }
    for segment in segments
    where entry >= segment.virtualAddress && entry - segment.virtualAddress < segment.memorySize {
      return entry - segment.virtualAddress + segment.physicalAddress
    }
    throw .brokenELF(.entryOutsideSegments(entry))
  }
}

/// One entry of the program header table.
private struct ProgramHeader {
  enum Kind: UInt32 {
    case load = 1
    case interpreter = 3
    case note = 4
  }

  let type: Kind?
  let offset, virtualAddress, physicalAddress, fileSize, memorySize: UInt64

  init?(_ file: RawSpan, at position: UInt64) {
    guard let type = file.integer(UInt32.self, at: position),
      let offset = file.integer(UInt64.self, at: position + 8),
      let virtualAddress = file.integer(UInt64.self, at: position + 16),
      let physicalAddress = file.integer(UInt64.self, at: position + 24),
      let fileSize = file.integer(UInt64.self, at: position + 32),
      let memorySize = file.integer(UInt64.self, at: position + 40)
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
