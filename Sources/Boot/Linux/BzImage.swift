import Bits
public import GuestMemory

/// A Linux kernel image with a 64-bit entry point, its header checked against its file.
///
/// Reference: Linux, Documentation/arch/x86/boot.rst.
public struct BzImage: Hashable, Sendable {
  public let header: SetupHeader
  /// The boot protocol, major version in the high byte.
  public let protocolVersion: UInt16
  /// The part that runs in protected and long mode, as file offsets.
  public let systemRange: Range<Int>
  /// The compressed ELF kernel inside, as file offsets; `nil` if the header does not say.
  public let payload: Range<Int>?
  /// Where the kernel wants to be, if it can.
  public let loadAddress: UInt64
  /// Memory the kernel needs from `loadAddress` until it knows the memory map.
  public let initSize: UInt64

  /// The 64-bit entry point is this far into the protected-mode part.
  private static let entryOffset: UInt64 = 0x200
  private static let has64BitEntry: UInt16 = 1

  /// Whether the file claims to be such an image.
  static func isRecognized(_ file: RawSpan) -> Bool {
    file.matches([0x55, 0xaa], at: 0x1fe) && file.matches("HdrS", at: 0x202)
  }

  init(_ file: RawSpan) throws(KernelImageError) {
    let present = UInt64(file.byteCount)
    guard let header = SetupHeader(image: file) else {
      throw .truncated(expected: UInt64(SetupHeader.endLimit), present: present)
    }
    self.header = header
    protocolVersion = header[u16: .version]
    if protocolVersion < 0x206 { throw .oldBootProtocol(protocolVersion) }
    if protocolVersion < 0x20c || header[u16: .extendedLoadFlags] & Self.has64BitEntry == 0 {
      throw .no64BitEntry
    }
    let sectors = UInt64(header[u8: .setupSectors])
    let start = ((sectors == 0 ? 4 : sectors) + 1) * 512
    let size = UInt64(header[u32: .systemSize]) * 16
    // The size counts paragraphs, so that up to 15 bytes of the last need not be in the file.
    guard start + Self.entryOffset < present, start + size < present + 16 else {
      throw .truncated(expected: start + size, present: present)
    }
    systemRange = Int(start)..<(size == 0 ? file.byteCount : Int(min(start + size, present)))
    payload = Self.payload(header, within: systemRange)
    let preferred = header[u64: .preferredAddress]
    loadAddress = preferred == 0 ? MemoryMap.highMemory : preferred
    initSize = max(UInt64(header[u32: .initSize]), UInt64(systemRange.count))
  }

  private static func payload(_ header: SetupHeader, within system: Range<Int>) -> Range<Int>? {
    let start = system.lowerBound + Int(header[u32: .payloadOffset])
    let end = start + Int(header[u32: .payloadLength])
    guard header[u32: .payloadLength] > 4, end <= system.upperBound else { return nil }
    return start..<end
  }

  /// Puts the compressed kernel into memory; it decompresses itself when started.
  public func place(_ file: RawSpan, in memory: GuestMemory) throws(BootError) -> PlacedKernel {
    let occupied = try memory.kernelRange(at: loadAddress, size: initSize)
    guard memory.place(file.extracting(systemRange), at: loadAddress) else {
      throw .kernelAddressUnusable(occupied)
    }
    return PlacedKernel(
      entry: loadAddress + Self.entryOffset, occupied: occupied, header: header)
  }
}

extension GuestMemory {
  /// `size` bytes of RAM at `address` in the one piece that kernels may be put in.
  func kernelRange(at address: UInt64, size: UInt64) throws(BootError) -> Range<UInt64> {
    let (end, overflow) = address.addingReportingOverflow(size)
    if overflow || address < MemoryMap.highMemory || end > MemoryLayoutPC.lowMemoryLimit {
      throw .kernelAddressUnusable(address..<(overflow ? .max : end))
    }
    if unsafe hostAddress(of: address, count: Int(size)) == nil {
      throw .tooLittleMemory(needed: end)
    }
    return address..<end
  }
}
