/// The two guest-physical address spaces: the one that everybody sees, and the one that a processor
/// sees in system-management mode.
///
/// Within the engine, guest-physical addresses have a bit above all that processors have, which says
/// whose they are. So slots, page states and translated code of the two are apart everywhere, and
/// nobody but devices need look at it.
package enum AddressSpace {
  /// The bit of addresses that only system-management mode sees.
  package static let management: UInt64 = 1 << 52

  /// An address as the guest has it.
  @inline(always)
  package static func guestAddress(_ physical: UInt64) -> UInt64 { physical & ~management }
}

extension Processor {
  /// The bit that the guest's addresses have now.
  @inline(always)
  var addressSpace: UInt64 { UInt64(cpu.inManagement) << 52 }
}
