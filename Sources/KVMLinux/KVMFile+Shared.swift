internal import CLinux
import Glibc
import Host
import KVM
import KVMABI

// Requests that more than one kind of file takes.
extension KVMFile {
  func check(_ capability: Capability) -> Int {
    (try? call(.KVM_CHECK_EXTENSION, UInt(capability.rawValue))) ?? 0
  }

  func enable(_ capability: Capability, _ arguments: FixedArray<4, UInt64>) throws(KVMError) {
    var request = kvm_enable_cap()
    request.cap = capability.rawValue
    request.args = (arguments[0], arguments[1], arguments[2], arguments[3])
    try set(.KVM_ENABLE_CAP, request)
  }

  func has(_ attribute: DeviceAttribute) -> Bool {
    var request = kvm_device_attr()
    (request.group, request.attr) = (attribute.group, attribute.number)
    return (try? call(.KVM_HAS_DEVICE_ATTR, with: &request)) != nil
  }

  func value(of attribute: DeviceAttribute) throws(KVMError) -> UInt64 {
    var value: UInt64 = 0
    try transfer(&value, attribute, .KVM_GET_DEVICE_ATTR)
    return value
  }

  /// Moves an attribute's value between here and the kernel.
  func transfer(
    _ value: inout UInt64, _ attribute: DeviceAttribute, _ request: KVMRequest
  ) throws(KVMError) {
    var structure = kvm_device_attr()
    (structure.group, structure.attr) = (attribute.group, attribute.number)
    let result = unsafe withUnsafeMutablePointer(to: &value) { pointer in
      structure.addr = UInt64(UInt(bitPattern: pointer))
      return self.result(request, with: &structure)
    }
    try check(result, request)
  }

  func statistics() throws(KVMError) -> [Statistic] {
    let statistics = try file(from: .KVM_GET_STATS_FD)
    let bytes = try refusing { () throws(SystemError) in
      var bytes: [UInt8] = []
      while case let part = try statistics.descriptor.read(upTo: 1 << 16), !part.isEmpty {
        bytes += part
      }
      return bytes
    }
    guard let format = StatisticsFormat(bytes: bytes) else {
      throw .unsupported("The kernel's statistics have a form that is not known.")
    }
    return format.statistics
  }

  /// A counted table of the kernel's, whose size it only tells by refusing too small ones (E2BIG).
  func table<Entry>(_ request: KVMRequest, header: Int) throws(KVMError) -> [Entry] {
    var capacity = 128
    while true {
      var table = EntryTable<Entry>(header: header, capacity: capacity)
      do throws(KVMError) {
        try call(request, table: &table)
        return table.entries
      } catch {
        guard error.errno == E2BIG, capacity < 1 << 16 else { throw error }
        capacity *= 2
      }
    }
  }
}
