import Bits

/// The setup header of a Linux kernel: what the kernel tells its loader, and the loader it.
///
/// Reference: Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
public struct SetupHeader: Hashable, Sendable {
  /// The header, from offset 0x1f1 of the image.
  private(set) var bytes: [UInt8]

  /// Where the header begins in an image, and in the boot parameters.
  static let start = 0x1f1
  /// It may not reach the fields that follow it in the boot parameters.
  static let endLimit = 0x290

  /// The header of an image; `nil` if the image has none or ends inside it.
  init?(image file: RawSpan) {
    guard file.matches([0x55, 0xaa], at: 0x1fe), file.matches("HdrS", at: 0x202),
      let length = file.integer(UInt8.self, at: 0x201)
    else { return nil }
    let end = min(0x202 + Int(length), Self.endLimit)
    guard end >= 0x220, file.holds(end, at: 0) else { return nil }
    bytes = file.bytes(Self.start..<end)
  }

  /// The header for an ELF kernel that came without one.
  init() {
    bytes = [UInt8](repeating: 0, count: 0x268 - Self.start)
    self[u16: .bootFlag] = 0xaa55
    self[u32: .magic] = 0x5372_6448
    self[u16: .version] = 0x020f
    self[u32: .kernelAlignment] = 0x20_0000
    self[u32: .initrdAddressLimit] = 0x7fff_ffff
    self[u32: .commandLineSize] = 2047
  }

  /// Offsets in the image of the fields that matter here.
  enum Name: Int {
    case setupSectors = 0x1f1
    case systemSize = 0x1f4
    case videoMode = 0x1fa
    case bootFlag = 0x1fe
    case magic = 0x202
    case version = 0x206
    case loader = 0x210
    case loadFlags = 0x211
    case initrdAddress = 0x218
    case initrdSize = 0x21c
    case commandLine = 0x228
    case initrdAddressLimit = 0x22c
    case kernelAlignment = 0x230
    case isRelocatable = 0x234
    case extendedLoadFlags = 0x236
    case commandLineSize = 0x238
    case payloadOffset = 0x248
    case payloadLength = 0x24c
    case preferredAddress = 0x258
    case initSize = 0x260
  }

  /// Fields past the end of an older header read as zero and ignore writes.
  subscript<Value: FixedWidthInteger>(_ name: Name, _ type: Value.Type) -> Value {
    get {
      let offset = name.rawValue - Self.start
      guard offset + Value.bitWidth / 8 <= bytes.count else { return 0 }
      var value: Value = 0
      for index in 0..<Value.bitWidth / 8 {
        value |= Value(truncatingIfNeeded: bytes[offset + index]) << Value(8 * index)
      }
      return value
    }
    set {
      let offset = name.rawValue - Self.start
      guard offset + Value.bitWidth / 8 <= bytes.count else { return }
      bytes.store(little: newValue, at: offset)
    }
  }

  subscript(u8 name: Name) -> UInt8 {
    get { self[name, UInt8.self] }
    set { self[name, UInt8.self] = newValue }
  }

  subscript(u16 name: Name) -> UInt16 {
    get { self[name, UInt16.self] }
    set { self[name, UInt16.self] = newValue }
  }

  subscript(u32 name: Name) -> UInt32 {
    get { self[name, UInt32.self] }
    set { self[name, UInt32.self] = newValue }
  }

  subscript(u64 name: Name) -> UInt64 {
    get { self[name, UInt64.self] }
    set { self[name, UInt64.self] = newValue }
  }

  /// The longest command line, in bytes without the zero at its end.
  public var commandLineLimit: Int {
    let size = Int(self[u32: .commandLineSize])
    let room = Int(MemoryMap.commandLineEnd - MemoryMap.commandLine) - 1
    return min(size == 0 ? 255 : size, room)
  }

  /// The highest address that the initial RAM disk's last byte may have.
  public var initrdAddressLimit: UInt64 {
    let limit = UInt64(self[u32: .initrdAddressLimit])
    return limit == 0 ? 0x37ff_ffff : limit
  }
}
