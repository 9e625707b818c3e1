internal import CLinux
import Glibc
import Host
import KVM

/// Whether a program can use `/dev/kvm` at all.
public enum KVMDeviceState: Hashable, Sendable {
  case usable
  /// There is no such file.
  case missing
  /// The file is there, for others.
  case denied
  /// The file is there, and no driver behind it.
  case withoutDriver
  /// Something else holds the processor's virtualization.
  case busy
  /// Another error; the number is the system's.
  case broken(call: String, errno: Int32)
  /// It opens, and is not what it should be; a sentence.
  case unsuitable(String)

  /// What an attempt to use the device shows that ended in `error`.
  public init(_ error: KVMError) {
    guard case .refused(let call, let errno) = error else {
      if case .unavailable(let reason) = error {
        self = .unsuitable(reason)
      } else {
        self = .unsuitable("It lacks what every guest needs.")
      }
      return
    }
    switch errno {
    case ENOENT: self = .missing
    case EACCES, EPERM: self = .denied
    case ENODEV, ENXIO, ENOTTY: self = .withoutDriver
    case EBUSY: self = .busy
    default: self = .broken(call: call, errno: errno)
    }
  }

  /// What is the matter, as a sentence; `nil` when nothing is.
  public var reason: String? {
    switch self {
    case .usable: nil
    case .missing: "There is no /dev/kvm."
    case .denied: "/dev/kvm may not be opened by this user."
    case .withoutDriver: "/dev/kvm exists, but no driver answers behind it."
    case .busy: "Another hypervisor holds the processor's virtualization."
    case .broken(let call, let errno):
      "\(call) on /dev/kvm failed: \(SystemError(call: call, errno: errno).reason)."
    case .unsuitable(let reason): reason
    }
  }

  /// What the user can do about it.
  public var cure: String? {
    switch self {
    case .usable, .unsuitable: nil
    case .missing, .withoutDriver: HostVirtualization.current.cure
    case .denied: "Run `sudo usermod -aG kvm $USER` and log in again."
    case .busy: "Stop the other hypervisor (VirtualBox, VMware …), then try again."
    case .broken: "Look at the kernel's log (`sudo dmesg | grep -i kvm`)."
    }
  }
}

/// The virtualization that the processor itself offers.
enum HostVirtualization {
  case intel, amd, none

  /// Reference: SDM vol. 2A, CPUID.1:ECX.VMX; APM vol. 3, CPUID Fn8000_0001_ECX[SVM].
  static var current: Self {
    if HostProcessor.identify(1).ecx & 1 << 5 != 0 { return .intel }
    let hasSVM =
      HostProcessor.identify(0x8000_0000).eax >= 0x8000_0001
      && HostProcessor.identify(0x8000_0001).ecx & 1 << 2 != 0
    return hasSVM ? .amd : .none
  }

  var cure: String {
    switch self {
    case .intel: "Run `sudo modprobe kvm_intel`."
    case .amd: "Run `sudo modprobe kvm_amd`."
    case .none:
      "This processor shows neither VMX nor SVM: enable virtualization in the firmware, or nested "
        + "virtualization in the hypervisor around this machine."
    }
  }
}
