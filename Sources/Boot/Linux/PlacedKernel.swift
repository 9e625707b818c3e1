/// A kernel that lies in guest memory and has not been told its arguments yet.
public struct PlacedKernel: Hashable, Sendable {
  /// The guest-physical address of the first instruction.
  public let entry: UInt64
  /// Addresses that nothing else may use until the kernel manages memory itself.
  public let occupied: Range<UInt64>
  /// What the kernel wants its loader to know.
  public let header: SetupHeader

  init(entry: UInt64, occupied: Range<UInt64>, header: SetupHeader) {
    self.entry = entry
    self.occupied = occupied
    self.header = header
  }
}
