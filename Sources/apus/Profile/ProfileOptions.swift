import ArgumentParser
import Engine
import Glibc
import Host

/// What `apus run` is asked to tell of where its time goes.
struct ProfileOptions: ParsableArguments {
  @Flag(help: "Say at the end where the software engine's time has gone.")
  var profile = false

  @Option(help: "With --profile: names of the kernel's functions, from a System.map or a vmlinux.")
  var symbols: String?

  @Flag(help: "With --profile: print JSON.")
  var json = false

  @Flag(help: "Write /tmp/perf-PID.map, in which perf finds translated blocks.")
  var perfMap = false

  var isWanted: Bool { profile || perfMap }

  /// Writes what was asked for: the profile to standard error, the map to its file.
  func report(_ result: Profile.Result, _ symbols: SymbolTable?) {
    if profile {
      let report = ProfileReport(result, symbols: symbols)
      let text = json ? (try? report.json()) ?? "" : report.text
      if let output = try? FileDescriptor.duplicate(of: STDERR_FILENO) {
        try? output.writeAll(Array(text.utf8))
      }
    }
    guard perfMap else { return }
    let path = "/tmp/perf-\(getpid()).map"
    do throws(SystemError) {
      let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW)
      try file.writeAll(Array(Self.lines(result.map, symbols).utf8))
    } catch {
      Apus.remark("the map \(path) could not be written.")
    }
  }

  /// A line for each block: start, size and name.
  private static func lines(_ map: [Profile.MappedBlock], _ symbols: SymbolTable?) -> String {
    // Where Linux has its image in linear memory.
    let kernelBase: UInt64 = 0xffff_ffff_8000_0000
    return map.map { block in
      let function = symbols?.name(of: kernelBase &+ block.guestPhysical).map { $0 + "_" } ?? ""
      let address = String(block.guestPhysical, radix: 16)
      return "\(String(block.start, radix: 16)) \(String(block.size, radix: 16)) "
        + "\(function)guest_\(address)\n"
    }.joined()
  }
}
