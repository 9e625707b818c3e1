import CNative
import Engine
import SeededRandom

/// One instruction of a generated snippet.
struct SnippetItem {
  /// What must be known of the snippet's layout to complete the bytes.
  enum Patch: Hashable {
    case none
    /// A displacement from the next instruction to a fixed address.
    case relative(at: Int, target: UInt64)
    /// A displacement to the item of that number.
    case branch(at: Int, size: Int, to: Int)
    /// The address of the item of that number, in four bytes.
    case absolute(at: Int, to: Int)
  }
  var bytes: [UInt8]
  var patch: Patch = .none
}

/// Instructions in the order they run; the last is followed by INT3.
///
/// Branches lead forward in that order only, so every snippet ends. With a cut, the items between
/// its bounds lie behind the rest, so that branches lead backwards in memory.
struct Snippet {
  var items: [SnippetItem] = []
  var cut: Range<Int>?

  /// The bytes at `address`; `nil` when a short branch does not reach.
  func layout(at address: UInt64) -> [UInt8]? {
    var order: [(item: Int?, jump: Int?)] = []
    let all = 0..<items.count
    func add(_ range: Range<Int>) { order += range.map { ($0, nil) } }
    if let cut, !cut.isEmpty, cut.upperBound <= items.count {
      add(0..<cut.lowerBound)
      order.append((nil, cut.lowerBound))
      add(cut.upperBound..<items.count)
      order.append((nil, items.count))
      add(cut)
      order.append((nil, cut.upperBound))
    } else {
      add(all)
    }
    var starts = [Int](repeating: 0, count: items.count + 1)
    var end = 0
    for (item, _) in order {
      if let item { starts[item] = end }
      end += item.map { items[$0].bytes.count } ?? 5
    }
    starts[items.count] = end
    var bytes: [UInt8] = []
    for (item, jump) in order {
      if let item {
        guard append(items[item], to: &bytes, starts, address) else { return nil }
      } else if let jump {
        let distance = Int32(starts[jump] - bytes.count - 5)
        bytes.append(0xe9)
        bytes += Self.littleEndian(UInt64(bitPattern: Int64(distance)), 4)
      }
    }
    bytes.append(0xcc)
    return bytes.count <= Int(NATIVE_SNIPPET) ? bytes : nil
  }

  private func append(
    _ item: SnippetItem, to bytes: inout [UInt8], _ starts: [Int], _ address: UInt64
  ) -> Bool {
    var encoded = item.bytes
    let next = address + UInt64(bytes.count + encoded.count)
    switch item.patch {
    case .none: break
    case .relative(let at, let target):
      encoded.replaceSubrange(
        at..<at + 4, with: Self.littleEndian(target &- next, 4))
    case .absolute(let at, let to):
      let target = address + UInt64(starts[min(to, items.count)])
      encoded.replaceSubrange(at..<at + 4, with: Self.littleEndian(target, 4))
    case .branch(let at, let size, let to):
      let distance = address + UInt64(starts[min(to, items.count)]) &- next
      if size == 1 && Int8(exactly: Int64(bitPattern: distance)) == nil { return false }
      encoded.replaceSubrange(at..<at + size, with: Self.littleEndian(distance, size))
    }
    bytes += encoded
    return true
  }

  static func littleEndian(_ value: UInt64, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
  }

  /// The snippet without one item.
  func without(_ index: Int) -> Snippet {
    var shorter = self
    shorter.items.remove(at: index)
    func moved(_ number: Int) -> Int { number > index ? number - 1 : number }
    for position in shorter.items.indices {
      switch shorter.items[position].patch {
      case .branch(let at, let size, let to):
        shorter.items[position].patch = .branch(at: at, size: size, to: moved(to))
      case .absolute(let at, let to):
        shorter.items[position].patch = .absolute(at: at, to: moved(to))
      default: break
      }
    }
    if let cut { shorter.cut = moved(cut.lowerBound)..<moved(cut.upperBound) }
    return shorter
  }
}

/// Makes random snippets out of random bytes that the decoder accepts.
struct SnippetGenerator {
  var random: SeededGenerator
  let isCompatibility: Bool
  let isStepped: Bool
  static let data = UInt64(NATIVE_DATA)
  /// Guest registers that the engine maps specially come up more often.
  static let special: [UInt8] = [1, 4, 10, 11, 15]

  init(seed: UInt64, isCompatibility: Bool, isStepped: Bool) {
    random = SeededGenerator(seed: seed)
    self.isCompatibility = isCompatibility
    self.isStepped = isStepped
  }

  mutating func snippet() -> Snippet {
    var snippet = Snippet()
    for _ in 0...random.below(12) { appendInstruction(to: &snippet) }
    resolveBranches(&snippet)
    if random.chance(20) {
      let (one, other) = (
        random.below(snippet.items.count + 1), random.below(snippet.items.count + 1)
      )
      snippet.cut = min(one, other)..<max(one, other)
    }
    return snippet
  }

  /// Gives branches, which carry only their own number so far, an item to go to.
  private mutating func resolveBranches(_ snippet: inout Snippet) {
    let count = snippet.items.count
    for index in 0..<count {
      let target = min(index + 1 + random.below(5), count)
      switch snippet.items[index].patch {
      case .branch(let at, let size, _):
        snippet.items[index].patch = .branch(at: at, size: size, to: target)
      case .absolute(let at, _):
        // Two further at least: the branch that uses it comes right behind.
        snippet.items[index].patch = .absolute(at: at, to: min(max(target, index + 2), count))
      default: break
      }
    }
  }

  private mutating func appendInstruction(to snippet: inout Snippet) {
    while true {
      guard let (bytes, instruction) = candidate() else { continue }
      var item = SnippetItem(bytes: bytes)
      prepare(&item, instruction, &snippet)
      snippet.items.append(item)
      followUp(instruction, &snippet)
      return
    }
  }

  /// Random bytes that are one instruction which may run natively.
  private mutating func candidate() -> (bytes: [UInt8], instruction: Instruction)? {
    var bytes: [UInt8] = []
    fill(&bytes)
    var instruction = Instruction()
    let result = decode(
      bytes.span.bytes, codeSize: isCompatibility ? .bits32 : .bits64, features: .all,
      into: &instruction)
    guard result == .decoded, isAcceptable(instruction) else { return nil }
    bytes.removeLast(bytes.count - Int(instruction.length))
    return (bytes, instruction)
  }
}

// MARK: Random encodings

extension SnippetGenerator {
  private mutating func register() -> UInt8 {
    random.chance(45) ? random.pick(Self.special) : UInt8(random.below(16))
  }

  private mutating func fill(_ bytes: inout [UInt8]) {
    bytes.reserveCapacity(32)
    if random.chance(15) { bytes.append(0x66) }
    if random.chance(8) { bytes.append(0xf2) }
    if random.chance(9) { bytes.append(0xf3) }
    if random.chance(3) { bytes.append(0x67) }
    if random.chance(4) {
      // FS and GS are null in 32-bit code.
      bytes.append(
        isCompatibility
          ? random.pick([0x36, 0x3e, 0x26]) : random.pick([0x64, 0x65, 0x64, 0x65, 0x2e]))
    }
    if random.chance(3) { bytes.append(0xf0) }
    let (field, base, index) = (register(), register(), register())
    let high = (field >> 3) << 2 | (index >> 3) << 1 | base >> 3
    if random.chance(20) {
      fillVEX(&bytes, high)
    } else {
      if !isCompatibility && random.chance(60) {
        bytes.append(0x40 | high | (random.chance(50) ? 8 : 0))
      }
      let kind = random.below(100)
      if kind >= 55 { bytes.append(0x0f) }
      if kind >= 90 { bytes.append(kind < 96 ? 0x38 : 0x3a) }
      bytes.append(random.byte())
    }
    fillOperand(&bytes, field & 7, base & 7, index & 7)
    for _ in 0..<12 { bytes.append(random.byte()) }
  }

  private mutating func fillVEX(_ bytes: inout [UInt8], _ high: UInt8) {
    let extra = isCompatibility ? 0 : high
    let source = register()
    let low = (~source & 15) << 3 | (random.chance(50) ? 4 : 0) | UInt8(random.below(4))
    // In 32-bit code the bits that would be R and X tell VEX from LES and LDS.
    let middle = isCompatibility ? low | 0x40 : low
    if random.chance(40) {
      bytes += [0xc5, middle & 0x7f | (~extra & 4) << 5]
    } else {
      let map = UInt8(1 + random.below(3))
      bytes += [0xc4, (~extra & 7) << 5 | map, middle & 0x7f | (random.chance(40) ? 0x80 : 0)]
    }
    bytes.append(random.byte())
  }

  private mutating func fillOperand(
    _ bytes: inout [UInt8], _ field: UInt8, _ base: UInt8, _ index: UInt8
  ) {
    let mode = UInt8([0, 0, 1, 1, 2, 3, 3, 3][random.below(8)])
    let usesSIB = mode != 3 && random.chance(35)
    bytes.append(mode << 6 | field << 3 | (usesSIB ? 4 : base))
    let isSIB = mode != 3 && (usesSIB || base == 4)
    if isSIB { bytes.append(UInt8(random.below(4)) << 6 | index << 3 | base) }
    if mode == 1 { bytes.append(random.byte()) }
    if mode == 2 {
      let distance = Int32(random.below(4096)) - 2048
      bytes += Snippet.littleEndian(UInt64(bitPattern: Int64(distance)), 4)
    }
  }
}
