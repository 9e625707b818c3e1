import CLinux
import CShim
import KVM
import KVMABI
import KVMSoft

extension ProcessorFile {
  func setGuestDebug(_ argument: UserAddress) throws(KVMError) -> Int {
    let debug = GuestDebug(try argument.load(kvm_guest_debug.self))
    return try done(cpu.setGuestDebug(debug))
  }

  func translate(_ argument: UserAddress) throws(KVMError) -> Int {
    let address = try argument.load(kvm_translation.self).linear_address
    return try argument.put(kvm_translation(cpu.translate(address)))
  }

  func enable(_ argument: UserAddress) throws(KVMError) -> Int {
    let (capability, arguments) = try argument.capability()
    return try done(cpu.enable(capability, arguments))
  }

  func makeStatistics() throws(KVMError) -> Int {
    try makeStatisticsFile("kvm-vcpu", try cpu.statistics())
  }
}

/// The counter's offset is the only attribute (KVM_VCPU_TSC_OFFSET of KVM_VCPU_TSC_CTRL).
extension ProcessorFile {
  func checkAttribute(_ argument: UserAddress) throws(KVMError) -> Int {
    _ = try attributeAddress(argument)
    return 0
  }

  func readAttribute(_ argument: UserAddress) throws(KVMError) -> Int {
    try attributeAddress(argument).put(cpu.timeStampOffset)
  }

  func setAttribute(_ argument: UserAddress) throws(KVMError) -> Int {
    cpu.timeStampOffset = try attributeAddress(argument).load(UInt64.self)
    return 0
  }

  /// Where the attribute's value is.
  private func attributeAddress(_ argument: UserAddress) throws(KVMError) -> UserAddress {
    let attribute = try argument.load(kvm_device_attr.self)
    guard attribute.group == 0, attribute.attr == 0 else { throw .noAddress }
    return UserAddress(UInt(attribute.addr))
  }
}
