import Bits
public import GuestMemory

/// Why a program cannot be started without an operating system.
public enum BareError: Error, Hashable {
  case empty
  case elf(KernelImageError)
  /// The program wants memory that the guest has not, or that Apus needs at the end of RAM.
  case outsideMemory(Range<UInt64>, limit: UInt64)
  /// The program wants the page where the start structure lies.
  case overStartInfo(Range<UInt64>)
  /// Real mode cannot begin at this address.
  case entryBeyondRealMode(UInt64)
  /// The first instruction would be outside RAM.
  case entryOutsideMemory(UInt64)
  /// The program has so many pieces that the start structure cannot list them.
  case scattered(Int)
}

/// A flat binary or an ELF file that runs without an operating system.
public struct BareProgram: Hashable, Sendable {
  /// Where a byte range of the file goes.
  private struct Piece: Hashable {
    let file: Range<Int>
    let memory: Range<UInt64>
  }

  /// The width of an ELF file; `nil` for a flat binary.
  public let fileClass: ELFClass?
  private let pieces: [Piece]
  private let entry: UInt64

  /// Recognises a file. A flat binary is put at `address`, and begins there too.
  public init(_ file: RawSpan, at address: UInt64) throws(BareError) {
    if file.byteCount == 0 { throw .empty }
    guard file.matches(ELFKernel.magic) else {
      let (end, overflow) = address.addingReportingOverflow(UInt64(file.byteCount))
      let memory = address..<(overflow ? .max : end)
      if overflow { throw .outsideMemory(memory, limit: 0) }
      pieces = [Piece(file: 0..<file.byteCount, memory: memory)]
      (fileClass, entry) = (nil, address)
      return
    }
    do throws(KernelImageError) {
      let elf = try ELFKernel(
        head: file, fileSize: UInt64(file.byteCount), accepting32Bit: true)
      pieces = elf.segments.map { segment in
        Piece(
          file: Int(segment.fileRange.lowerBound)..<Int(segment.fileRange.upperBound),
          memory: segment.physicalAddress..<segment.physicalAddress + segment.memorySize)
      }
      (fileClass, entry) = (elf.fileClass, elf.entry)
    } catch {
      throw .elf(error)
    }
  }

  /// The mode that suits the file: an ELF file's width decides, a flat binary is 16-bit code.
  public var usualMode: BareMode {
    switch fileClass {
    case nil: .real
    case .bits32: .protected
    case .bits64: .long
    }
  }

  /// Puts the program into `memory` with what `mode` needs; the result is its first processor's
  /// state.
  ///
  /// - Parameters:
  ///   - start: the first instruction, if not where the file says.
  ///   - devices: what the start structure lists; `nil` for a guest without one.
  public func place(
    _ file: RawSpan, in memory: GuestMemory, mode: BareMode, start: UInt64? = nil,
    devices: [StartInfo.Device]? = nil
  ) throws(BareError) -> InitialProcessorState {
    let entry = start ?? entry
    let tables = BareTables(mode: mode, in: memory)
    if mode == .real, entry > 0xf_ffff { throw .entryBeyondRealMode(entry) }
    if entry >= tables.start { throw .entryOutsideMemory(entry) }
    let page = MemoryMap.startInfo..<MemoryMap.startInfo + StartInfo.size
    for piece in pieces {
      if piece.memory.upperBound > tables.stack.lowerBound {
        throw .outsideMemory(piece.memory, limit: tables.stack.lowerBound)
      }
      if devices != nil, piece.memory.overlaps(page) { throw .overStartInfo(piece.memory) }
      let isPlaced = memory.place(file.extracting(piece.file), at: piece.memory.lowerBound)
      precondition(isPlaced, "the piece lies in RAM")
    }
    tables.write(to: memory)
    var state = tables.state(entry: entry)
    guard let devices else { return state }
    let bytes = try startInfo(devices, tables: tables).bytes(at: page.lowerBound)
    let isPlaced = unsafe memory.place(bytes.span.bytes, at: page.lowerBound)
    precondition(isPlaced, "the start structure lies in RAM")
    (state.rax, state.rbx) = (UInt64(StartInfo.magic), page.lowerBound)
    return state
  }

  private func startInfo(
    _ devices: [StartInfo.Device], tables: BareTables
  ) throws(BareError) -> StartInfo {
    let start = MemoryMap.startInfo
    var used = kernelRanges.map { StartInfo.MemoryEntry(range: $0, use: .kernel) }
    used.append(.init(range: start..<start + StartInfo.size, use: .initial))
    used.append(.init(range: tables.stack.lowerBound..<tables.end, use: .initial))
    let info = StartInfo(size: tables.end, used: used, devices: devices)
    if info.memory.count > StartInfo.memoryLimit { throw .scattered(pieces.count) }
    return info
  }

  /// The whole pages that the program occupies, in ascending order; neighbours are one range.
  private var kernelRanges: [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    let pages = pieces.map { piece in
      piece.memory.lowerBound.rounded(downTo: 4096)..<piece.memory.upperBound.rounded(upTo: 4096)
    }
    for range in pages.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = ranges.last, last.upperBound >= range.lowerBound {
        ranges[ranges.count - 1] =
          last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        ranges.append(range)
      }
    }
    return ranges
  }
}
