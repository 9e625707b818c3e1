import CLinux
import CShim
import KVM
import KVMSoft

/// What stands for /dev/kvm.
final class DeviceFile: OpenFile {
  init() { super.init(kind: APUS_DEVICE) }

  override func control(_ request: UInt32, _ argument: UserAddress) throws(Refusal) -> Int {
    switch UInt(request) {
    case apus_kvm_get_api_version: 12
    case apus_kvm_get_vcpu_mmap_size: 3 * 4096
    default: throw .invalid
    }
  }
}

final class ProcessorFile: OpenFile {
  func ring() {}
}
