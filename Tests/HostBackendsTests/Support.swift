import DeviceModel
import Glibc
import Host
import HostBackends

/// A folder that is gone when nobody needs it any more.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/apus-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError(call: "mkdtemp", errno: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    _ = try? runProgram(["/bin/rm", "-rf", path])
  }

  /// The path of a new file with these contents.
  func file(_ name: String, _ bytes: [UInt8] = []) throws -> String {
    let path = self.path + "/" + name
    let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_TRUNC)
    try file.writeAll(bytes)
    return path
  }
}

/// Memory of a request, which frees itself.
final class Memory {
  let buffer: UnsafeMutableRawBufferPointer

  init(_ bytes: [UInt8]) {
    buffer = .allocate(byteCount: max(bytes.count, 1), alignment: 4096)
    buffer.copyBytes(from: bytes)
  }

  deinit { buffer.deallocate() }

  /// A part of the memory in pieces of at most `size` bytes.
  static func pieces(of memory: Memory, from start: Int, count: Int, size: Int) -> [HostPiece] {
    stride(from: start, to: start + count, by: size).compactMap { place in
      memory.buffer.baseAddress.map {
        HostPiece($0 + place, count: min(size, start + count - place))
      }
    }
  }

  /// The memory in pieces of at most `size` bytes.
  func pieces(_ count: Int, of size: Int = 1000) -> [HostPiece] {
    Self.pieces(of: self, from: 0, count: count, size: size)
  }
}

extension DiskImage {
  func bytes(at offset: UInt64, count: Int) throws -> [UInt8] {
    let memory = Memory([UInt8](repeating: 0xee, count: count))
    try read(memory.pieces(count), at: offset)
    return Array(memory.buffer.prefix(count))
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    let memory = Memory(bytes)
    try write(memory.pieces(bytes.count), at: offset)
  }
}

func contents(of path: String) throws -> [UInt8] {
  try FileContents(path: path, limit: 1 << 30).withBytes { span in
    span.withUnsafeBytes { Array($0) }
  }
}

/// Runs a program to its end; returns its status and what it wrote to standard output.
@discardableResult
func runProgram(_ words: [String]) throws -> (status: Int32, output: String) {
  var ends: [CInt] = [0, 0]
  guard pipe(&ends) == 0 else { throw SystemError(call: "pipe", errno: errno) }
  let reader = FileDescriptor(owning: ends[0])
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
  posix_spawn_file_actions_addclose(&actions, ends[0])
  posix_spawn_file_actions_addclose(&actions, ends[1])
  defer { posix_spawn_file_actions_destroy(&actions) }
  var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
  defer { for argument in arguments { free(argument) } }
  var process = pid_t()
  let refusal = posix_spawnp(&process, words[0], &actions, nil, &arguments, environ)
  close(ends[1])
  if refusal != 0 { throw SystemError(call: "posix_spawn", errno: refusal) }
  var output: [UInt8] = []
  while case let part = try reader.read(upTo: 1 << 16), !part.isEmpty { output += part }
  var status: CInt = 0
  waitpid(process, &status, 0)
  return (status & 0x7f == 0 ? status >> 8 & 0xff : -1, String(decoding: output, as: UTF8.self))
}
