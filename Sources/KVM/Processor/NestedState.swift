/// The state of a hypervisor in the guest (`struct kvm_nested_state`), in the hypervisor's own
/// format.
public struct NestedState: Hashable, Sendable {
  public var flags: UInt16
  /// KVM_STATE_NESTED_FORMAT_VMX or KVM_STATE_NESTED_FORMAT_SVM.
  public var format: UInt16
  /// What follows flags, format and size: a header of 120 bytes, then the format's data.
  public var payload: [UInt8]

  public init(flags: UInt16, format: UInt16, payload: [UInt8]) {
    self.flags = flags
    self.format = format
    self.payload = payload
  }
}
