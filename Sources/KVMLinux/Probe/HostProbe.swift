internal import CLinux
import Glibc
public import KVM
import KVMABI

/// What the host's `/dev/kvm` is good for, found by running tiny guests on it.
///
/// That the file opens proves little: some kernels' KVM cannot interpret what a real guest does.
public struct HostProbe: Sendable {
  public let device: KVMDeviceState
  /// What the guests showed, in the order of ``TinyGuest/all``; empty unless the device is usable.
  public let checks: [Check]

  private let scope: Scope

  /// Which guests are tried.
  public enum Scope: Sendable {
    /// Those that a 64-bit Linux kernel depends on, until one fails.
    case linux
    /// Every guest, until one fails.
    case untilFailure
    /// Every guest, for a report.
    case all
  }

  /// One tiny guest and its verdict.
  public struct Check: Sendable {
    public let guest: TinyGuest
    public let verdict: Verdict
  }

  /// The probe that decides, made once in a process: it stops at the first guest that a Linux
  /// kernel could not do without.
  public static let result = HostProbe(.linux)

  /// How long a guest of a few instructions may take, in milliseconds.
  static let patience: UInt64 = 400

  /// Tries the device.
  public init(_ scope: Scope, path: String = "/dev/kvm") {
    self.scope = scope
    do throws(KVMError) {
      let hypervisor = try KernelHypervisor(path: path)
      // Some hosts refuse only here, when another hypervisor is active.
      _ = try hypervisor.device.file(from: .KVM_CREATE_VM)
      device = .usable
      checks = Self.check(hypervisor, scope)
    } catch {
      device = KVMDeviceState(error)
      checks = []
    }
  }

  private static func check(_ hypervisor: KernelHypervisor, _ scope: Scope) -> [Check] {
    // A guest that spins inside the kernel is taken out by a signal.
    _ = apus_prepare_kick()
    _ = apus_kick_periodically(50)
    defer { _ = apus_kick_periodically(0) }
    var checks: [Check] = []
    for guest in TinyGuest.all where scope != .linux || guest.isNeededByLinux {
      let deadline = Self.milliseconds + patience
      let verdict = guest.run(on: hypervisor) { Self.milliseconds > deadline }
      checks.append(Check(guest: guest, verdict: verdict))
      if scope != .all, !verdict.isPassed { break }
    }
    return checks
  }

  /// Whether an unmodified 64-bit Linux kernel can run on it.
  public var canRunStockKernel: Bool { device == .usable && firstObstacle == nil }

  /// The first thing that did not work, of those that count: for a report, what Linux needs.
  var firstObstacle: Check? {
    checks.first {
      (scope == .untilFailure || $0.guest.isNeededByLinux) && !$0.verdict.isPassed
    }
  }

  /// Why it cannot run a guest; `nil` when it can.
  public var reason: String? {
    if let reason = device.reason { return reason }
    guard let obstacle = firstObstacle, case .failed(let how) = obstacle.verdict else {
      return nil
    }
    return "This /dev/kvm cannot do \(obstacle.guest.title). \(how)"
  }

  /// What the user can do about it.
  public var cure: String? {
    if device != .usable { return device.cure }
    guard firstObstacle != nil else { return nil }
    return "Use the software engine (`--accel soft`), which `--accel auto` does by itself; or a "
      + "host whose KVM uses VMX or SVM."
  }
}

extension HostProbe {
  private static var milliseconds: UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
  }
}
