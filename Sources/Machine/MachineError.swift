public import Boot
public import DeviceModel
public import Host
public import HostBackends
public import KVM

/// Why a machine cannot be built or started.
public enum MachineError: Error {
  /// Which file of a configuration.
  public enum Role: Sendable {
    case kernel, initrd
    /// The file that a bare guest is made of.
    case program
  }

  case file(Role, FileContents.Failure)
  case initramfs(InitramfsError)
  case kernel(KernelImageError)
  case boot(BootError)
  case bare(BareError)
  /// The host has no room for the guest's memory.
  case memory(SystemError)
  case devices(AttachError)
  case disk(DiskOptions, DiskError)
  case share(ShareOptions, SystemError)
  case hypervisor(KVMError)
  case host(SystemError)
}
