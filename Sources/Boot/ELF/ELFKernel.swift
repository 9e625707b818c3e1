/// The headers of an ELF kernel for x86, checked against its file.
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

  /// How wide its addresses are.
  public let fileClass: ELFClass
  /// The guest-physical address of the first instruction.
  public let entry: UInt64
  /// In the order of the program headers, none empty.
  public let segments: [Segment]
  /// Where the notes are, as file offsets.
  let notes: [Range<UInt64>]

  static let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]

  /// Physical addresses from the first to the last byte that the segments occupy.
  public var occupied: Range<UInt64> {
    let start = segments.map(\.physicalAddress).min() ?? 0
    return start..<segments.reduce(start) { max($0, $1.physicalAddress + $1.memorySize) }
  }

  /// Reads the headers of a file of `fileSize` bytes that begins with `head`; 32-bit files only if
  /// `accepting32Bit`.
  public init(
    head: RawSpan, fileSize: UInt64, accepting32Bit: Bool = false
  ) throws(KernelImageError) {
    let kind = try Self.checkKind(head, accepting32Bit: accepting32Bit)
    let present = UInt64(head.byteCount)
    guard let entry = kind.address(head, at: 24),
      let table = kind.address(head, at: kind.tableField),
      let size = head.integer(UInt16.self, at: kind.sizeField),
      let count = head.integer(UInt16.self, at: kind.countField), present >= kind.headerSize
    else { throw .truncated(expected: kind.headerSize, present: present) }
    if UInt64(size) != kind.programHeaderSize { throw .brokenELF(.programHeaderSize(size)) }
    guard table <= present, UInt64(count) * UInt64(size) <= present - table else {
      throw .brokenELF(.programHeadersOutsideFile)
    }
    var segments: [Segment] = []
    var notes: [Range<UInt64>] = []
    for index in 0..<Int(count) {
      let header = ProgramHeader(head, at: table + UInt64(index) * UInt64(size), kind)
      guard let header else { throw .brokenELF(.programHeadersOutsideFile) }
      switch header.type {
      case .load: if let segment = try header.segment(index, fileSize) { segments.append(segment) }
      case .note: if let range = header.range(within: fileSize) { notes.append(range) }
      case .interpreter: throw .notAKernel(.elfUserProgram)
      case nil: break
      }
    }
    if segments.isEmpty { throw .brokenELF(.nothingToLoad) }
    (self.segments, self.notes, fileClass) = (segments, notes, kind)
    self.entry = try Self.physicalEntry(entry, segments)
  }

  private static func checkKind(
    _ head: RawSpan, accepting32Bit: Bool
  ) throws(KernelImageError) -> ELFClass {
    let present = UInt64(head.byteCount)
    guard head.matches(magic) else { throw .notAKernel(FileKind.identify(head)) }
    guard let fileClass = head.integer(UInt8.self, at: 4),
      let order = head.integer(UInt8.self, at: 5), let type = head.integer(UInt16.self, at: 16),
      let machine = head.integer(UInt16.self, at: 18)
    else { throw .truncated(expected: ELFClass.bits64.headerSize, present: present) }
    if order != 1 { throw .notAKernel(.elfForMachine(machine.byteSwapped)) }
    guard let kind = ELFClass(rawValue: fileClass), machine == kind.machine else {
      throw .notAKernel(.elfForMachine(machine))
    }
    if kind == .bits32, !accepting32Bit { throw .notAKernel(.elf32) }
    // Executable, or position-independent; else a relocatable object or a core dump.
    if type != 2 && type != 3 { throw .notAKernel(.elfObject) }
    return kind
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
