/// An operand in the r/m position of a host instruction.
enum HostOperand: BitwiseCopyable {
  case register(UInt8)
  /// `[base + index + displacement]`; no index when it is `nil`.
  case memory(base: HostRegister, index: HostRegister?, displacement: Int32)
  /// A field of the state block, reached through the GS base.
  case state(Int32)
}

/// The BMI2 instructions that the engine itself uses, because they leave the flags alone.
struct VEXOpcode: BitwiseCopyable {
  let map: UInt8
  let prefix: UInt8
  let number: UInt8

  static var rorx: Self { Self(map: 3, prefix: 3, number: 0xf0) }
  static var pext: Self { Self(map: 2, prefix: 2, number: 0xf5) }
  static var pdep: Self { Self(map: 2, prefix: 3, number: 0xf5) }
  static var sarx: Self { Self(map: 2, prefix: 2, number: 0xf7) }
}

/// Writes host machine code at a cursor.
///
/// The writer trusts its caller to have left room: blocks start only while the cache has space for
/// the longest one (see `Translation.isFull`).
@safe
struct CodeWriter {
  private(set) var cursor: UnsafeMutablePointer<UInt8>

  init(at cursor: UnsafeMutablePointer<UInt8>) { unsafe self.cursor = unsafe cursor }

  @inline(always)
  mutating func byte(_ value: UInt8) {
    unsafe cursor.pointee = value
    unsafe cursor += 1
  }

  @inline(always)
  mutating func bytes(_ a: UInt8, _ b: UInt8) {
    byte(a)
    byte(b)
  }

  @inline(always)
  mutating func bytes(_ a: UInt8, _ b: UInt8, _ c: UInt8) {
    byte(a)
    byte(b)
    byte(c)
  }

  @inline(always)
  mutating func word(_ value: Int32) {
    unsafe UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: Int32.self)
    unsafe cursor += 4
  }

  @inline(always)
  mutating func quad(_ value: UInt64) {
    unsafe UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: UInt64.self)
    unsafe cursor += 8
  }

  /// Writes the low `count` bytes of `value`.
  @inline(always)
  mutating func immediate(_ value: Int64, bytes count: UInt8) {
    unsafe UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: Int64.self)
    unsafe cursor += Int(count)
  }

  mutating func align(to alignment: Int) {
    while unsafe Int(bitPattern: cursor) & (alignment - 1) != 0 { byte(0x90) }
  }
}

extension CodeWriter {
  /// The GS prefix where the operand is in the state block.
  @inline(always)
  mutating func segment(for operand: HostOperand) {
    if case .state = operand { byte(0x65) }
  }

  /// The REX bits (without W) that `register` in the reg field and `operand` need.
  @inline(always)
  static func extensionBits(_ register: UInt8, _ operand: HostOperand) -> UInt8 {
    let high = (register >> 3) << 2
    switch operand {
    case .register(let number): return high | number >> 3
    case .memory(let base, let index, _):
      return high | base.rawValue >> 3 | (index.map { ($0.rawValue >> 3) << 1 } ?? 0)
    case .state: return high
    }
  }

  /// ModRM, SIB and displacement for `register` (or an opcode extension) and `operand`.
  @inline(always)
  mutating func modRM(_ register: UInt8, _ operand: HostOperand) {
    let field = (register & 7) << 3
    switch operand {
    case .register(let number): byte(0xc0 | field | number & 7)
    case .state(let offset):
      bytes(field | 4, 0x25)
      word(offset)
    case .memory(let base, let index, let displacement):
      // No displacement would mean RIP or none for RBP and R13: they always get one.
      let small = displacement >= -128 && displacement < 128
      let none = displacement == 0 && base.rawValue & 7 != 5
      let mode: UInt8 = none ? 0 : small ? 0x40 : 0x80
      if let index {
        bytes(mode | field | 4, (index.rawValue & 7) << 3 | base.rawValue & 7)
      } else if base.rawValue & 7 == 4 {
        bytes(mode | field | 4, 0x24)
      } else {
        byte(mode | field | base.rawValue & 7)
      }
      if none { return }
      if small { byte(UInt8(truncatingIfNeeded: displacement)) } else { word(displacement) }
    }
  }

  /// A one-byte-opcode instruction, 64 bits wide unless told otherwise.
  @inline(always)
  mutating func operation(
    _ opcode: UInt8, _ register: UInt8, _ operand: HostOperand, wide: Bool = true
  ) {
    segment(for: operand)
    let rex = Self.extensionBits(register, operand) | (wide ? 8 : 0)
    if rex != 0 { byte(0x40 | rex) }
    byte(opcode)
    modRM(register, operand)
  }

  /// A VEX-encoded instruction, 64 bits wide.
  @inline(always)
  mutating func vexOperation(
    _ opcode: VEXOpcode, _ register: UInt8, source: UInt8, _ operand: HostOperand
  ) {
    segment(for: operand)
    let inverted = (~(Self.extensionBits(register, operand) << 5)) & 0xe0
    bytes(0xc4, inverted | opcode.map, 0x80 | ((~source & 15) << 3) | opcode.prefix)
    byte(opcode.number)
    modRM(register, operand)
  }
}

extension CodeWriter {
  /// `mov destination, operand`, 64 bits.
  mutating func load(_ destination: HostRegister, _ operand: HostOperand, wide: Bool = true) {
    operation(0x8b, destination.rawValue, operand, wide: wide)
  }

  /// `mov operand, source`, 64 bits.
  mutating func store(_ source: HostRegister, _ operand: HostOperand, wide: Bool = true) {
    operation(0x89, source.rawValue, operand, wide: wide)
  }

  /// `mov operand, source`, 16 bits.
  mutating func storeWord(_ source: HostRegister, _ operand: HostOperand) {
    segment(for: operand)
    bytes(0x66, 0x40 | Self.extensionBits(source.rawValue, operand), 0x89)
    modRM(source.rawValue, operand)
  }

  /// `mov destination, source`, 64 bits; nothing when they are the same.
  mutating func move(_ destination: HostRegister, _ source: HostRegister) {
    if destination != source { load(destination, .register(source.rawValue)) }
  }

  /// `lea destination, [base + index + displacement]`: an addition that leaves the flags alone.
  mutating func add(
    _ destination: HostRegister, _ base: HostRegister, _ index: HostRegister? = nil,
    _ displacement: Int32, wide: Bool = true
  ) {
    operation(
      0x8d, destination.rawValue,
      .memory(base: base, index: index, displacement: displacement), wide: wide)
  }

  /// `lea destination, [base + index << shift + displacement]`.
  mutating func addScaled(
    _ destination: HostRegister, _ base: HostRegister, _ scaled: (HostRegister, shift: UInt8),
    _ displacement: Int32, wide: Bool
  ) {
    let (index, shift) = scaled
    let high = (destination.rawValue >> 3) << 2 | (index.rawValue >> 3) << 1 | base.rawValue >> 3
    byte(0x40 | high | (wide ? 8 : 0))
    bytes(
      0x8d, 0x84 | (destination.rawValue & 7) << 3,
      shift << 6 | (index.rawValue & 7) << 3 | base.rawValue & 7)
    word(displacement)
  }

  /// `lea destination, [base + displacement]`, 16 bits: the rest of the destination stays.
  mutating func addWord(
    _ destination: HostRegister, _ base: HostRegister, _ displacement: Int32
  ) {
    byte(0x66)
    add(destination, base, nil, displacement, wide: false)
  }

  /// `mov destination, value` in the shortest form; leaves the flags alone.
  mutating func constant(_ destination: HostRegister, _ value: UInt64) {
    let number = destination.rawValue
    if value <= UInt64(UInt32.max) {
      if number >= 8 { byte(0x41) }
      byte(0xb8 | number & 7)
      word(Int32(truncatingIfNeeded: value))
    } else if Int64(bitPattern: value) >= Int64(Int32.min) && Int64(bitPattern: value) < 0 {
      operation(0xc7, 0, .register(number))
      word(Int32(truncatingIfNeeded: value))
    } else {
      bytes(0x48 | number >> 3, 0xb8 | number & 7)
      quad(value)
    }
  }

  /// `rorx destination, source, count`, 64 bits: leaves the flags alone.
  mutating func rotateRight(_ destination: HostRegister, _ source: HostRegister, by count: UInt8) {
    vexOperation(.rorx, destination.rawValue, source: 0, .register(source.rawValue))
    byte(count)
  }

  /// `pext destination, source, mask`, 64 bits: leaves the flags alone.
  mutating func extractBits(
    _ destination: HostRegister, _ source: HostRegister, mask: HostOperand
  ) {
    vexOperation(.pext, destination.rawValue, source: source.rawValue, mask)
  }

  /// `pdep destination, source, mask`, 64 bits: leaves the flags alone.
  mutating func depositBits(
    _ destination: HostRegister, _ source: HostRegister, mask: HostOperand
  ) {
    vexOperation(.pdep, destination.rawValue, source: source.rawValue, mask)
  }

  /// `movzx destination, word of source`.
  mutating func lowWord(_ destination: HostRegister, of source: HostRegister) {
    let bits = Self.extensionBits(destination.rawValue, .register(source.rawValue))
    if bits != 0 { byte(0x40 | bits) }
    bytes(0x0f, 0xb7)
    modRM(destination.rawValue, .register(source.rawValue))
  }

  /// An instruction on `gs:[index * 8 + offset]`: an element of a table in the state block.
  mutating func tableOperation(
    _ opcode: UInt8, _ register: UInt8, index: HostRegister, offset: Int32, wide: Bool = true
  ) {
    let rex = (wide ? 8 : 0) | (register >> 3) << 2 | (index.rawValue >> 3) << 1
    byte(0x65)
    if rex != 0 { byte(0x40 | rex) }
    bytes(opcode, (register & 7) << 3 | 4, 0xc5 | (index.rawValue & 7) << 3)
    word(offset)
  }
}
