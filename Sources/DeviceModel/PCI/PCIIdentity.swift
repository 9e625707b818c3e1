/// What a function says of itself in its configuration header.
public struct PCIIdentity: Hashable, Sendable {
  public var vendor: UInt16
  public var device: UInt16
  /// Base class, subclass and programming interface, from the high byte of 24 bits to the low.
  public var classCode: UInt32
  public var revision: UInt8
  public var subsystemVendor: UInt16
  public var subsystem: UInt16

  public init(
    vendor: UInt16, device: UInt16, classCode: UInt32, revision: UInt8 = 0,
    subsystem: (vendor: UInt16, device: UInt16) = (0, 0)
  ) {
    (self.vendor, self.device) = (vendor, device)
    (self.classCode, self.revision) = (classCode, revision)
    (subsystemVendor, self.subsystem) = subsystem
  }
}

/// A range of ports or memory in which a function answers, wherever the guest puts it.
public struct PCIRegion: Sendable {
  public enum Space: Hashable, Sendable, BitwiseCopyable {
    case ports
    /// Below 4 GiB.
    case memory
    /// Anywhere; takes two base address registers.
    case memory64
  }

  /// The base address register: 0 to 5.
  public let number: Int
  public let space: Space
  /// A power of two: at least 4 ports, or 16 bytes of memory.
  public let size: UInt64
  /// What answers, at offsets from the region's start.
  public let slot: any BusSlot

  public init(_ number: Int, _ space: Space, size: UInt64, slot: any BusSlot) {
    precondition(size.nonzeroBitCount == 1 && size >= (space == .ports ? 4 : 16))
    precondition((0...(space == .memory64 ? 4 : 5)).contains(number))
    (self.number, self.space, self.size, self.slot) = (number, space, size, slot)
  }
}

/// A piece of the list of capabilities in a function's configuration.
public struct PCICapability: Sendable {
  public let identifier: UInt8
  /// What follows the identifier and the pointer to the next capability.
  public let body: [UInt8]
  /// Ones in each bit of the body that the guest may write.
  public let writable: [UInt8]
  /// Bytes of the body that are no memory: an access to them calls ``whenAccessed``.
  public var accessed: Range<Int>
  /// Called before the guest reads from ``accessed``, and after it has written there, with the body,
  /// which it may change.
  public var whenAccessed: (@Sendable (_ body: inout [UInt8], _ isWrite: Bool) -> Void)?

  public init(_ identifier: UInt8, _ body: [UInt8], writable: [UInt8] = []) {
    precondition(writable.count <= body.count)
    self.identifier = identifier
    self.body = body
    self.writable = writable + Array(repeating: 0, count: body.count - writable.count)
    accessed = 0..<body.count
  }

  public static let vendorSpecific: UInt8 = 0x09
  public static let messageVectors: UInt8 = 0x11
}
