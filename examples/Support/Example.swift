import Glibc
public import KVM
import KVMLinux
import KVMSoft

/// A program that runs a guest on the hypervisor that `--accel kvm|soft|auto` names.
public protocol Example {
  static func run(on hypervisor: some Hypervisor) throws
}

/// What is wrong with a guest, in a sentence.
public struct ExampleFailure: Error {
  public let reason: String
  public init(_ reason: String) { self.reason = reason }
}

extension Example {
  public static func main() {
    do {
      switch option("--accel") ?? "auto" {
      case "soft": try run(on: SoftHypervisor())
      case "kvm": try run(on: KernelHypervisor())
      case "auto":
        // That /dev/kvm opens does not mean that it can run every guest, so that is tried first.
        if HostProbe(.untilFailure).reason == nil {
          try run(on: KernelHypervisor())
        } else {
          try run(on: SoftHypervisor())
        }
      case let word: throw ExampleFailure("--accel takes kvm, soft or auto, not \(word)")
      }
    } catch let failure as ExampleFailure {
      fail(failure.reason)
    } catch {
      fail("\(error)")
    }
  }

  /// The word after `name` on the command line.
  public static func option(_ name: String) -> String? {
    let words = CommandLine.arguments
    guard let index = words.firstIndex(of: name), index + 1 < words.count else { return nil }
    return words[index + 1]
  }

  private static func fail(_ reason: String) -> Never {
    let line = [UInt8]("\(reason)\n".utf8)
    _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    exit(1)
  }
}
