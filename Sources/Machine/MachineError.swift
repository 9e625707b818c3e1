public import Boot
public import DeviceModel
public import Host
public import KVM

/// Why a machine cannot be built or started.
public enum MachineError: Error {
  case hypervisor(KVMError)
  case host(SystemError)
  case devices(AttachError)
  case boot(BootError)
}
