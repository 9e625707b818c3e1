import Boot
import GuestMemory
import Testing
import X86

private func place(_ file: [UInt8], in memory: GuestMemory) throws -> PlacedKernel {
  switch try KernelImage.identify(file.span.bytes) {
  case .bzImage(let image): try image.place(file.span.bytes, in: memory)
  case .elf(let kernel): try kernel.place(file.span.bytes, in: memory)
  }
}

private func prepare(
  _ kernel: PlacedKernel, commandLine: String = "quiet", initrd: [UInt8] = [],
  in memory: GuestMemory
) throws -> InitialProcessorState {
  try LinuxBoot(commandLine: commandLine, platform: ACPIPlatform(processorCount: 1))
    .prepare(kernel, initrd: initrd.span.bytes, in: memory)
}

@Test func `a bzImage lies at its preferred address and starts 0x200 behind it`() throws {
  let memory = try GuestMemory(size: 64 << 20)
  let file = Sample.bzImage()

  let kernel = try place(file, in: memory)
  let state = try prepare(kernel, in: memory)

  #expect(state.rip == 0x100_0200)
  #expect(state.rsi == MemoryMap.bootParameters)
  #expect(try memory.bytes(at: 0x100_0200, count: 256) == Array(file[0x600..<0x700]))
}

@Test func `the boot parameters hold header, memory map, root pointer and initial RAM disk`()
  throws
{
  let memory = try GuestMemory(size: 64 << 20)
  let kernel = try place(Sample.bzImage(), in: memory)
  let initrd = [UInt8](repeating: 0x5a, count: 10_000)

  _ = try prepare(kernel, commandLine: "console=ttyS0", initrd: initrd, in: memory)

  let page = MemoryMap.bootParameters
  #expect(try memory.load(UInt32.self, at: page + 0x202) == 0x5372_6448)
  #expect(try memory.load(UInt8.self, at: page + 0x210) == 0xff)
  #expect(try memory.load(UInt8.self, at: page + 0x1ef) == 0)
  #expect(try memory.load(UInt64.self, at: page + 0x70) == MemoryMap.acpiTables)
  let place = UInt64(try memory.load(UInt32.self, at: page + 0x218))
  #expect(place == (64 << 20) - 12288)
  #expect(try memory.load(UInt32.self, at: page + 0x21c) == 10_000)
  #expect(try memory.bytes(at: place, count: 10_000) == initrd)
  let text = UInt64(try memory.load(UInt32.self, at: page + 0x228))
  #expect(try memory.bytes(at: text, count: 14) == Array("console=ttyS0\0".utf8))
  #expect(try memory.load(UInt8.self, at: page + 0x1e8) == 4)
  #expect(try memory.load(UInt64.self, at: page + 0x2d0 + 60) == 0x10_0000)
  #expect(try memory.load(UInt64.self, at: page + 0x2d0 + 68) == (63 << 20))
}

@Test func `memory beyond 3 GiB is described above 4 GiB and the initial RAM disk stays low`()
  throws
{
  let memory = try GuestMemory(size: 5 << 30)
  let kernel = try place(Sample.bzImage(), in: memory)

  _ = try prepare(kernel, initrd: [1, 2, 3], in: memory)

  let map = MemoryTable(memory).entries.filter { $0.kind == .usable }.map(\.range)
  #expect(map == [0..<0x9_fc00, 0x10_0000..<3 << 30, 4 << 30..<6 << 30])
  let place = try memory.load(UInt32.self, at: MemoryMap.bootParameters + 0x218)
  #expect(place == 0x7fff_f000)
}

@Test func `an ELF kernel arrives in pieces of any size`() throws {
  let file = Sample.elf()
  for size in [1, 100, 4096, 5000, file.count] {
    let memory = try GuestMemory(size: 64 << 20)
    var loader = ELFLoader(fileSize: UInt64(file.count), memory: memory)

    for start in stride(from: 0, to: file.count, by: size) {
      try loader.take(Array(file[start..<min(start + size, file.count)]).span.bytes)
    }
    let kernel = try loader.finish()

    #expect(kernel.entry == 0x100_0000)
    #expect(try memory.bytes(at: 0x100_0000, count: 0x800) == Array(file[0x1000..<0x1800]))
    #expect(try memory.bytes(at: 0x120_0000, count: 0x800) == Array(file[0x1800..<0x2000]))
  }
}

@Test func `a file that ends early is no kernel`() throws {
  let file = Sample.elf()
  let memory = try GuestMemory(size: 64 << 20)
  var loader = ELFLoader(fileSize: UInt64(file.count), memory: memory)

  try loader.take(Array(file[0..<0x1900]).span.bytes)

  let expected = ELFLoader.Failure.image(.truncated(expected: 0x3000, present: 0x1900))
  #expect(throws: expected) { try loader.finish() }
}

@Test func `what does not fit is refused with the numbers`() throws {
  let small = try GuestMemory(size: 16 << 20)
  #expect(throws: BootError.tooLittleMemory(needed: 0x120_0000)) {
    try place(Sample.bzImage(), in: small)
  }

  #expect(throws: ELFLoader.Failure.memory(.tooLittleMemory(needed: 0x120_5000))) {
    try place(Sample.elf(), in: small)
  }

  let memory = try GuestMemory(size: 32 << 20)
  let kernel = try place(Sample.bzImage(), in: memory)
  #expect(throws: BootError.commandLineTooLong(count: 65, limit: 64)) {
    try prepare(kernel, commandLine: String(repeating: "x", count: 65), in: memory)
  }
  #expect(throws: BootError.commandLineHasZeroByte) {
    try prepare(kernel, commandLine: "a\0b", in: memory)
  }
  #expect(throws: BootError.initrdTooLarge(size: 15 << 20, room: 14 << 20)) {
    try prepare(kernel, initrd: [UInt8](repeating: 0, count: 15 << 20), in: memory)
  }

  var low = Sample.bzImage()
  low.put(UInt64(0x9000), at: 0x258)
  #expect(throws: BootError.kernelAddressUnusable(0x9000..<0x20_9000)) {
    try place(low, in: memory)
  }
}

@Test func `the initial state is long mode with tables that say the same`() throws {
  let memory = try GuestMemory(size: 64 << 20)
  let kernel = try place(Sample.elf(), in: memory)

  let state = try prepare(kernel, in: memory)

  #expect(state.efer == [.longModeEnable, .longModeActive])
  #expect(state.cr0.isSuperset(of: [.protection, .paging]))
  #expect(state.cr4 == .physicalAddressExtension)
  #expect(state.rflags == .fixed)
  #expect(state.cs.selector == 0x10 && state.cs.attributes[.long] && state.cs.attributes[.code])
  #expect(state.data.selector == 0x18 && state.data.attributes[.writableOrReadable])
  let table = state.globalDescriptorTable.base
  #expect(try memory.load(UInt64.self, at: table + 0x10) == 0x00af_9b00_0000_ffff)
  #expect(try memory.load(UInt64.self, at: table + 0x18) == 0x00cf_9300_0000_ffff)
  #expect(try memory.load(UInt64.self, at: table + 0x20) == 0x0000_8b00_0000_0067)
  for address: UInt64 in [0, 0x100_0000, 0xbfff_ffff, 0xfee0_0000, 0xffff_ffff] {
    #expect(try translate(address, from: state.cr3, in: memory) == address)
  }
}

/// Walks four-level tables that end in 2 MiB pages.
private func translate(
  _ address: UInt64, from root: UInt64, in memory: GuestMemory
) throws -> UInt64? {
  var table = root
  for shift: UInt64 in [39, 30, 21] {
    let entry = try memory.load(UInt64.self, at: table + (address >> shift & 511) * 8)
    if entry & 3 != 3 { return nil }
    if entry & 0x80 != 0 { return (entry & ~0x1f_ffff) | (address & 0x1f_ffff) }
    table = entry & ~0xfff
  }
  return nil
}
