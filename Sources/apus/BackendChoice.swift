import KVM
import KVMLinux
import KVMSoft
import Machine

/// Who runs guest code, and why.
struct BackendChoice {
  enum Backend {
    case kvm(KernelHypervisor)
    case soft(SoftHypervisor)
  }

  /// What a guest may ask of its hypervisor.
  enum Guest {
    /// A 64-bit Linux kernel.
    case linux
    /// Anything, in any processor mode.
    case any
  }

  let backend: Backend
  /// A sentence.
  let why: String

  /// Follows `--accel`. `kvm` is what was asked for or an error, never something else.
  init(
    _ accelerator: MachineConfiguration.Accelerator, for guest: Guest
  ) throws(Failure) {
    switch accelerator {
    case .soft:
      (backend, why) = (.soft(SoftHypervisor()), "--accel soft asks for the software engine.")
    case .kvm:
      // A bare guest may need less than the probe tries; what it cannot do ends its run.
      if guest == .linux, let obstacle = HostProbe.result.obstacle {
        throw Failure("--accel kvm: \(obstacle) See apus probe.")
      }
      (backend, why) = (.kvm(try Self.kernel()), "--accel kvm asks for /dev/kvm.")
    case .auto:
      let probe = guest == .linux ? HostProbe.result : HostProbe(.untilFailure)
      if let reason = probe.reason {
        (backend, why) = (.soft(SoftHypervisor()), reason)
      } else {
        (backend, why) = (.kvm(try Self.kernel()), ProbeReport.kernelPraise)
      }
    }
  }

  private static func kernel() throws(Failure) -> KernelHypervisor {
    do throws(KVMError) {
      return try KernelHypervisor()
    } catch {
      let state = KVMDeviceState(error)
      throw Failure(
        "--accel kvm: " + [state.reason, state.cure].compactMap(\.self).joined(separator: " "))
    }
  }

  var name: String {
    switch backend {
    case .kvm: KernelHypervisor.name
    case .soft: SoftHypervisor.name
    }
  }
}

extension HostProbe {
  /// Why the host's KVM cannot run a guest, and what to do; `nil` when it can.
  var obstacle: String? {
    reason.map { reason in [reason, cure].compactMap(\.self).joined(separator: " ") }
  }
}
