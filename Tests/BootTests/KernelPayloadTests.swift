import Boot
import Foundation
import GuestMemory
import Host
import HostBackends
import SeededRandom
import Testing

/// A megabyte that compresses neither to nothing nor not at all.
private let contents: [UInt8] = {
  var random = SeededGenerator(seed: 7)
  return (0..<1 << 20).map { $0 % 3 == 0 ? UInt8.random(in: 0...15, using: &random) : 0 }
}()

/// `contents` as the build of Linux puts them into a bzImage, with a program of the host.
private func payload(_ compressor: [String], addsSize: Bool) throws -> [UInt8] {
  try withTemporaryDirectory { directory in
    let plain = directory.appending(path: "plain")
    let packed = directory.appending(path: "packed")
    try Data(contents).write(to: plain)
    let command = compressor.joined(separator: " ") + " <'\(plain.path)' >'\(packed.path)'"
    let result = try run("/bin/sh", ["-c", command])
    try #require(result.status == 0, "\(command): \(result.output)")
    var bytes = try [UInt8](Data(contentsOf: packed))
    if addsSize { withUnsafeBytes(of: UInt32(contents.count)) { bytes += $0 } }
    return bytes
  }
}

private func unpack(_ payload: [UInt8]) throws -> [UInt8] {
  let bytes = payload.span.bytes
  let recognized = KernelPayload(bytes)
  let stream = try #require(recognized)
  var result: [UInt8] = []
  try stream.unpack(bytes) { piece in
    result += piece.withUnsafeBytes { [UInt8]($0) }
    return true
  }
  return result
}

/// How the build of Linux calls each program; what is not installed is not tried.
private let compressors: [(command: [String], addsSize: Bool)] = [
  (["gzip", "-n", "-9"], false),
  (["xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB"], true),
  (["xz", "--format=lzma", "-9"], true),
  (["lz4", "-l", "-9", "-"], true),
  (["zstd", "-19"], true),
  (["bzip2", "-9"], true),
].filter { run in
  ["/usr/bin/", "/bin/"].contains { FileManager.default.fileExists(atPath: $0 + run.0[0]) }
}

@Test(arguments: compressors)
func `a payload is unpacked as it was packed`(command: [String], addsSize: Bool) throws {
  let packed = try payload(command, addsSize: addsSize)

  #expect(try unpack(packed) == contents)
}

@Test func `an announced size that is wrong is found out`() throws {
  var longer = try payload(["gzip", "-n"], addsSize: false)
  longer.put(UInt32(contents.count + 1), at: longer.count - 4)
  var shorter = longer
  shorter.put(UInt32(1000), at: shorter.count - 4)

  #expect(throws: (any Error).self) { try unpack(longer) }
  #expect(throws: (any Error).self) { try unpack(shorter) }
}

@Test func `damaged payloads end in an error or in other bytes, never in a trap`() throws {
  let seed: UInt64 = 99
  var random = SeededGenerator(seed: seed)
  let original = try payload(["gzip", "-n"], addsSize: false)
  var failures = 0

  for _ in 0..<200 {
    var damaged = original
    for _ in 0..<3 {
      damaged[Int.random(in: 4..<damaged.count, using: &random)] = .random(
        in: 0...255, using: &random)
    }
    if KernelPayload(damaged.span.bytes) == nil { continue }
    do { if try unpack(damaged) != contents { failures += 1 } } catch { failures += 1 }
  }

  #expect(failures > 150, "seed \(seed): damage should show")
}

@Test func `what the host cannot unpack is left to the guest`() {
  let lzo: [UInt8] = [0x89, 0x4c, 0x5a, 0x4f] + [UInt8](repeating: 0, count: 100)
  let short: [UInt8] = [1, 2, 3]

  let payloads = [KernelPayload(lzo.span.bytes), KernelPayload(short.span.bytes)]

  #expect(payloads == [nil, nil])
}

/// A kernel of Debian's in the cache.
private let debianKernel: String? = {
  var locator = KernelLocator()
  locator.hostDirectory = "/nonexistent"
  return try? locator.find()
}()

@Test(.enabled(if: debianKernel != nil, "no kernel in the cache; run tools/fetch-kernel cloud"))
func `Debian's kernel is unpacked into memory and made ready`() throws {
  let path = try #require(debianKernel)
  let file = try FileContents(path: path, limit: 1 << 30)
  let memory = try GuestMemory(size: 256 << 20)

  let state = try file.withBytes { bytes in
    guard case .bzImage(let image) = try KernelImage.identify(bytes) else {
      throw KernelImageError.no64BitEntry
    }
    let stream = bytes.extracting(try #require(image.payload))
    let recognized = KernelPayload(stream)
    let payload = try #require(recognized)
    var loader = ELFLoader(fileSize: UInt64(payload.size), memory: memory)
    var failure: (any Error)?
    try payload.unpack(stream) { piece in
      do { try loader.take(piece) } catch { failure = error }
      return failure == nil
    }
    #expect(failure == nil)
    let kernel = try loader.finish(header: image.header)
    return try LinuxBoot(commandLine: "quiet", platform: ACPIPlatform(processorCount: 1))
      .prepare(kernel, initrd: [UInt8](repeating: 1, count: 1 << 20).span.bytes, in: memory)
  }

  #expect(state.rip == 0x100_0000)
  #expect(try memory.bytes(at: state.rip, count: 64).contains { $0 != 0 })
  let version = try memory.load(UInt16.self, at: MemoryMap.bootParameters + 0x206)
  #expect(version >= 0x20c)
}
