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
    let question = try argument.load(kvm_enable_cap.self)
    guard question.flags == 0, let capability = Capability(rawValue: question.cap) else {
      throw .invalid
    }
    let (first, second, third, fourth) = question.args
    return try done(cpu.enable(capability, [first, second, third, fourth]))
  }

  func makeStatistics() throws(KVMError) -> Int {
    try makeStatisticsFile("kvm-vcpu", try cpu.statistics())
  }
}
