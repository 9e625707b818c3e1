import ArgumentParser
import Glibc
import Host

/// Runs a program that speaks KVM on the software engine.
struct KVMCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kvm",
    abstract: "Run a program that speaks KVM, with the software engine behind /dev/kvm.",
    discussion: """
      The program and its children find a /dev/kvm whether or not the host has one, for example

        apus kvm -- qemu-system-x86_64 -accel kvm …

      It must be linked dynamically with the GNU C library, since a library loaded before it \
      stands in for the system calls that concern KVM.
      """)

  @Flag(
    name: .customLong("fake-vmx"),
    help: "Let the program's own CPUID show VMX, on which some insist (lkvm does, by itself).")
  var showsVMX = false

  @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.")
  var command: [String] = []

  func run() throws {
    guard let name = command.first else {
      throw Failure("say which program to run: apus kvm -- PROGRAM ARGS…")
    }
    let library = try Self.library()
    let program = try PreloadTarget(named: name)
    if let obstacle = program.obstacle { throw Failure(obstacle, status: 126) }
    let others = Self.environment("LD_PRELOAD")
    unsafe setenv("LD_PRELOAD", others.map { "\(library):\($0)" } ?? library, 1)
    if showsVMX || ["lkvm", "kvmtool"].contains(program.name) {
      unsafe setenv("APUS_KVM_FAKE_VMX", "1", 1)
    }
    let arguments = unsafe command.map { unsafe strdup($0) } + [nil]
    unsafe execv(program.path, arguments)
    let reason = SystemError(call: "execve", errno: errno).reason
    throw Failure("\(program.path) cannot be run: \(reason).", status: 126)
  }

  /// The library beside this program, or where `make install` puts it.
  private static func library() throws(Failure) -> String {
    let name = "libapus-kvm.so"
    let folder = try ownFolder()
    for path in ["\(folder)/\(name)", "\(folder)/../lib/\(name)"]
    where unsafe access(path, R_OK) == 0 {
      guard let resolved = unsafe realpath(path, nil) else { continue }
      defer { unsafe free(resolved) }
      return unsafe String(cString: resolved)
    }
    throw Failure("\(name) is neither in \(folder) nor in the lib folder beside it.")
  }

  private static func ownFolder() throws(Failure) -> String {
    guard let path = unsafe realpath("/proc/self/exe", nil) else {
      throw Failure("/proc is not mounted, so apus cannot find its library.")
    }
    defer { unsafe free(path) }
    let text = unsafe String(cString: path)
    return String(text[..<(text.lastIndex(of: "/") ?? text.startIndex)])
  }

  private static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name), unsafe value.pointee != 0 else { return nil }
    return unsafe String(cString: value)
  }
}
