import CLinux
import KVM

extension RunArea {
  /// Answers the read or the call that the structure tells; nothing waits: no effect.
  public func answer(_ value: UInt64) {
    switch CInt(bitPattern: content.exit_reason) {
    case KVM_EXIT_IO:
      guard CInt(content.io.direction) == KVM_EXIT_IO_IN else { return }
      let size = Int(content.io.size)
      withPortData { data in
        for byte in 0..<min(size, 8, data.byteCount) {
          let part = UInt8(truncatingIfNeeded: value >> (byte * 8))
          data.storeBytes(of: part, toByteOffset: byte, as: UInt8.self)
        }
      }
    case KVM_EXIT_MMIO:
      guard content.mmio.is_write == 0 else { return }
      unsafe content.mmio.data = unsafeBitCast(value, to: type(of: content.mmio.data))
    case KVM_EXIT_X86_RDMSR: (content.msr.data, content.msr.error) = (value, 0)
    case KVM_EXIT_X86_WRMSR: content.msr.error = 0
    case KVM_EXIT_HYPERCALL: content.hypercall.ret = value
    case KVM_EXIT_HYPERV: unsafe content.hyperv.u.hcall.result = value
    default: break
    }
  }

  /// Lets the model-specific access that the structure tells fail.
  public func refuse() {
    switch CInt(bitPattern: content.exit_reason) {
    case KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR: content.msr.error = 1
    default: break
    }
  }
}
