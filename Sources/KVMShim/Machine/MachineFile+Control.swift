import CLinux
import KVM
import KVMABI
import KVMSoft

extension MachineFile {
  func makeProcessor(_ argument: UserAddress) throws(KVMError) -> Int {
    guard let id = UInt32(exactly: argument.value) else { throw .invalid }
    let cpu = try machine.makeCPU(id: id)
    let size = DeviceFile.hypervisor.sharedSize
    let ringSize = machine.dirtyRingSize
    let whole = ringSize > 0 ? DirtyRing.offset + ringSize : size
    let descriptor = try makeFile("kvm-vcpu:\(id)", size: whole) { descriptor throws(KVMError) in
      try ProcessorFile(cpu, of: self, sharing: descriptor, size: size)
    }
    return Int(descriptor)
  }

  func enable(_ argument: UserAddress) throws(KVMError) -> Int {
    let (capability, arguments) = try argument.capability()
    return try withoutSignals { () throws(KVMError) in
      try machine.enable(capability, arguments)
    }
  }

  func setFilter(_ argument: UserAddress) throws(KVMError) -> Int {
    let filter = try ModelSpecificFilter(argument)
    return try done(machine.setModelSpecificFilter(filter))
  }

  /// None can be made, but a program may ask.
  func makeDevice(_ argument: UserAddress) throws(KVMError) -> Int {
    let question = try argument.load(kvm_create_device.self)
    guard machine.canMakeDevice(type: question.type) else { throw .noDevice }
    return 0
  }

  func hasAttribute(_ argument: UserAddress) throws(KVMError) -> Int {
    let attribute = DeviceAttribute(try argument.load(kvm_device_attr.self))
    guard machine.has(attribute) else { throw .noAddress }
    return 0
  }

  func makeStatistics() throws(KVMError) -> Int {
    try makeStatisticsFile("kvm-vm", try machine.statistics())
  }
}

extension ModelSpecificFilter {
  private static let rangeCount = 16

  /// From `struct kvm_msr_filter`, whose bitmaps are elsewhere.
  init(_ argument: UserAddress) throws(KVMError) {
    let flags = try argument.load(UInt32.self)
    guard flags & ~1 == 0 else { throw .invalid }
    self.init(isAllowedByDefault: flags == 0)
    let words = try argument.advanced(by: 8).array(of: UInt64.self, count: 3 * Self.rangeCount)
    for index in 0..<Self.rangeCount {
      if let range = try Range(words[3 * index..<3 * index + 3]) { ranges.append(range) }
    }
  }
}

extension ModelSpecificFilter.Range {
  private static let largest = 0x600 * 8

  /// From `struct kvm_msr_filter_range`: flags and count, first register, address of the bitmap.
  /// `nil` for a range of nothing.
  fileprivate init?(_ words: ArraySlice<UInt64>) throws(KVMError) {
    let (first, base, bitmap) = (words[words.startIndex], words[words.startIndex + 1], words.last)
    let (flags, count) = (UInt32(truncatingIfNeeded: first), Int(first >> 32))
    guard flags & ~3 == 0, count <= Self.largest else { throw .invalid }
    guard count > 0 else { return nil }
    guard flags != 0 else { throw .invalid }
    let address = UserAddress(UInt(bitmap ?? 0))
    let bits = try address.array(of: UInt8.self, count: (count + 7) / 8)
    let isAllowed = (0..<count).map { bits[$0 / 8] & 1 << UInt8($0 % 8) != 0 }
    self.init(
      appliesToReads: flags & 1 != 0, appliesToWrites: flags & 2 != 0,
      base: UInt32(truncatingIfNeeded: base), isAllowed: isAllowed)
  }
}
