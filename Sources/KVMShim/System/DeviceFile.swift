import CShim
import KVM
import KVMABI
import KVMSoft

/// What stands for /dev/kvm.
final class DeviceFile: OpenFile {
  init() { super.init(kind: APUS_DEVICE) }

  override func control(_ request: UInt32, _ argument: UserAddress) throws(Refusal) -> Int {
    switch KVMRequest(rawValue: UInt(request)) {
    case .KVM_GET_API_VERSION: 12
    case .KVM_GET_VCPU_MMAP_SIZE: 3 * 4096
    default: throw .invalid
    }
  }
}

final class ProcessorFile: OpenFile {
  func ring() {}
}
