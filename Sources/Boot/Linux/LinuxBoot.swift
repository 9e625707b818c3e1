import Bits
public import GuestMemory

/// What a Linux kernel is started with, besides itself.
public struct LinuxBoot: Hashable, Sendable {
  public var commandLine: String
  public var platform: ACPIPlatform

  public init(commandLine: String, platform: ACPIPlatform) {
    self.commandLine = commandLine
    self.platform = platform
  }

  /// Puts everything that `kernel` needs around it into `memory`, which must be fresh.
  ///
  /// An empty `initrd` is none.
  public func prepare(
    _ kernel: PlacedKernel, initrd: RawSpan, in memory: GuestMemory
  ) throws(BootError) -> InitialProcessorState {
    try checkRoom(for: kernel, in: memory)
    try writeCommandLine(for: kernel, to: memory)
    let tables = try platform.tables(at: MemoryMap.acpiTables)
    let place = try Self.place(initrd, above: kernel, in: memory)
    let parameters = BootParameters(
      header: kernel.header, initrd: place, map: MemoryTable(memory),
      rootPointer: MemoryMap.acpiTables)
    let state = InitialProcessorState.longMode(
      entry: kernel.entry, argument: MemoryMap.bootParameters)
    guard unsafe memory.place(tables.span.bytes, at: MemoryMap.acpiTables),
      unsafe memory.place(parameters.bytes.span.bytes, at: MemoryMap.bootParameters),
      state.writeTables(to: memory)
    else { throw .tooLittleMemory(needed: MemoryMap.highMemory) }
    return state
  }

  /// A placed kernel lies in RAM already, unless it was placed in another machine's.
  private func checkRoom(for kernel: PlacedKernel, in memory: GuestMemory) throws(BootError) {
    guard unsafe memory.hostAddress(of: 0, count: Int(MemoryMap.highMemory)) != nil,
      unsafe memory.hostAddress(of: kernel.occupied.lowerBound, count: kernel.occupied.count)
        != nil
    else { throw .tooLittleMemory(needed: kernel.occupied.upperBound) }
  }

  private func writeCommandLine(
    for kernel: PlacedKernel, to memory: GuestMemory
  ) throws(BootError) {
    var bytes = [UInt8](commandLine.utf8)
    if bytes.contains(0) { throw .commandLineHasZeroByte }
    let limit = kernel.header.commandLineLimit
    if bytes.count > limit { throw .commandLineTooLong(count: bytes.count, limit: limit) }
    bytes.append(0)
    guard unsafe memory.place(bytes.span.bytes, at: MemoryMap.commandLine) else {
      throw .tooLittleMemory(needed: MemoryMap.highMemory)
    }
  }

  /// Copies the initial RAM disk as high as the kernel accepts; returns where it is.
  private static func place(
    _ initrd: RawSpan, above kernel: PlacedKernel, in memory: GuestMemory
  ) throws(BootError) -> Range<UInt64> {
    if initrd.byteCount == 0 { return 0..<0 }
    let lowEnd = memory.regions.first?.range.upperBound ?? 0
    let end = min(lowEnd, kernel.header.initrdAddressLimit + 1)
    let bottom = kernel.occupied.upperBound.rounded(upTo: 4096)
    let size = UInt64(initrd.byteCount)
    guard end > bottom, size <= end - bottom else {
      throw .initrdTooLarge(size: initrd.byteCount, room: end > bottom ? end - bottom : 0)
    }
    let start = (end - size).rounded(downTo: 4096)
    guard start >= bottom, memory.place(initrd, at: start) else {
      throw .initrdTooLarge(size: initrd.byteCount, room: end - bottom)
    }
    return start..<start + size
  }
}
