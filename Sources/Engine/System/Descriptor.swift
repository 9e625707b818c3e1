internal import Bits
internal import X86

/// An entry of a descriptor table, or the first half of a 16-byte one.
///
/// Reference: SDM vol. 3A, sections 3.4.5 and 6.11.
struct Descriptor: BitStruct {
  var rawValue: UInt64

  /// The access rights, without the limit's bits among them.
  var attributes: SegmentAttributes {
    SegmentAttributes(rawValue: UInt16(truncatingIfNeeded: rawValue &>> 40) & 0xf0ff)
  }
  var base: UInt64 { (rawValue &>> 16 & 0xff_ffff) | ((rawValue &>> 56) &<< 24) }
  /// In bytes, granularity applied.
  var limit: UInt32 {
    let plain = UInt32(truncatingIfNeeded: (rawValue & 0xffff) | (rawValue &>> 32 & 0xf_0000))
    return attributes[.granular] ? plain &<< 12 | 0xfff : plain
  }
  var privilege: UInt8 { attributes[.privilege] }
  var isPresent: Bool { attributes[.present] }
  /// Not code or data: a gate, a task state or a local table.
  var isSystem: Bool { !attributes[.codeOrData] }
  var isCode: Bool { !isSystem && attributes[.code] }
  var isConforming: Bool { attributes[.conformingOrDown] }
  var isWritableData: Bool {
    !isSystem && !attributes[.code] && attributes[.writableOrReadable]
  }
  /// Data, or code that may be read.
  var isReadable: Bool { !isSystem && (!attributes[.code] || attributes[.writableOrReadable]) }
  var systemType: SystemType? { isSystem ? SystemType(rawValue: attributes[.type]) : nil }

  /// Gates: where they lead.
  var gateSelector: UInt16 { UInt16(truncatingIfNeeded: rawValue &>> 16) }
  var gateOffset: UInt64 { (rawValue & 0xffff) | ((rawValue &>> 48) &<< 16) }

  /// What a segment register holds after loading it.
  func register(_ selector: UInt16) -> SegmentRegister {
    SegmentRegister(base: base, limit: limit, selector: selector, attributes: attributes)
  }
}

/// Types of system descriptors. Reference: SDM vol. 3A, table 3-2.
enum SystemType: UInt8 {
  case availableTask16 = 1, localTable, busyTask16, callGate16, taskGate
  case interruptGate16, trapGate16
  case availableTask32 = 9
  case busyTask32 = 11, callGate32
  case interruptGate32 = 14, trapGate32
}

extension SegmentRegister {
  /// A segment register that nothing may be accessed through.
  static func null(_ selector: UInt16) -> SegmentRegister {
    SegmentRegister(base: 0, limit: 0, selector: selector, attributes: SegmentAttributes())
  }

  /// A segment of the whole address space, as SYSCALL and its kind load it.
  static func flat(_ selector: UInt16, type: UInt8, privilege: UInt8, isLong: Bool = false)
    -> SegmentRegister
  {
    var attributes = SegmentAttributes()
    attributes[.type] = type
    attributes[.codeOrData] = true
    attributes[.privilege] = privilege
    attributes[.present] = true
    attributes[.granular] = true
    attributes[.long] = isLong
    attributes[.defaultBig] = !isLong
    return SegmentRegister(
      base: 0, limit: 0xffff_ffff, selector: selector, attributes: attributes)
  }
}

/// Reading and marking descriptors in the guest's tables.
extension Processor {
  /// Where the tables have a selector's descriptor; `nil` beyond their limits.
  func descriptorAddress(_ selector: UInt16, size: UInt64 = 8) -> UInt64? {
    let offset = UInt64(selector & 0xfff8)
    if selector & 4 == 0 {
      guard offset &+ size &- 1 <= UInt64(cpu.globalTable.limit) else { return nil }
      return (cpu.globalTable.base &+ offset) & linearMask
    }
    let table = cpu[.localTable]
    guard table.attributes[.present], offset &+ size &- 1 <= UInt64(table.limit) else {
      return nil
    }
    return (table.base &+ offset) & linearMask
  }

  /// A selector's descriptor; `nil` beyond the tables' limits. Throws page faults only.
  func descriptor(_ selector: UInt16) throws(GuestFault) -> Descriptor? {
    guard let address = descriptorAddress(selector) else { return nil }
    return Descriptor(rawValue: try readLinear(address, size: 8, as: .tableRead))
  }

  /// The second half of a 16-byte descriptor; `nil` beyond the table's limit.
  func descriptorHigh(_ selector: UInt16) throws(GuestFault) -> UInt64? {
    guard let address = descriptorAddress(selector, size: 16) else { return nil }
    return try readLinear(address &+ 8, size: 8, as: .tableRead)
  }

  /// Sets the accessed bit of a code or data descriptor in its table, and in `descriptor`.
  func markAccessed(_ descriptor: inout Descriptor, _ selector: UInt16) throws(GuestFault) {
    if descriptor.attributes[.accessed] { return }
    descriptor.rawValue |= 1 << 40
    try storeAccessByte(descriptor, selector)
  }

  /// Writes a descriptor's access byte back to its table.
  func storeAccessByte(_ descriptor: Descriptor, _ selector: UInt16) throws(GuestFault) {
    guard let address = descriptorAddress(selector) else { return }
    let byte = descriptor.rawValue &>> 40 & 0xff
    try writeLinear(address &+ 5, size: 1, value: byte, as: .tableWrite)
  }
}
