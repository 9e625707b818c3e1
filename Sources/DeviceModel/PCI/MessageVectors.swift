import Synchronization

/// The interrupts that a function raises with messages (MSI-X): a table that the guest fills, and
/// which of them wait because they are masked.
///
/// Reference: PCI Local Bus Specification 3.0, section 6.8.2.
public final class MessageVectors: BusSlot {
  private struct Vector {
    var address: UInt64 = 0
    var data: UInt32 = 0
    var isMasked = true
    var isPending = false
  }

  private struct State {
    var vectors: [Vector]
    var isEnabled = false
    var isMasked = false
  }

  private let state: Mutex<State>
  private let messages: any MessageInterrupts
  public let count: Int

  init(count: Int, messages: any MessageInterrupts) {
    precondition((1...2048).contains(count), "a table has 1 to 2048 vectors")
    self.count = count
    self.messages = messages
    state = Mutex(State(vectors: Array(repeating: Vector(), count: count)))
  }

  /// Whether the guest uses messages and not the interrupt pin.
  public var isEnabled: Bool { state.withLock { $0.isEnabled } }

  /// Raises vector `number`; one that the guest has masked waits.
  public func raise(_ number: Int) {
    state.withLock { state in
      guard state.isEnabled, state.vectors.indices.contains(number) else { return }
      if state.isMasked || state.vectors[number].isMasked {
        state.vectors[number].isPending = true
      } else {
        send(state.vectors[number])
      }
    }
  }

  private func send(_ vector: Vector) {
    messages.send(address: vector.address, data: vector.data)
  }

  func reset() {
    state.withLock { $0 = State(vectors: Array(repeating: Vector(), count: count)) }
  }

  // MARK: Registers

  /// Half for the table, half for the bits of those that wait.
  var regionSize: UInt64 {
    let table = UInt64(count * Self.entrySize)
    return max(4096, 2 << UInt64(UInt64.bitWidth - (table - 1).leadingZeroBitCount))
  }

  /// The capability, whose table is in base address register `region`.
  func capability(region: Int) -> PCICapability {
    let pending = UInt32(regionSize / 2) | UInt32(region)
    var body = [UInt8(truncatingIfNeeded: count - 1), UInt8(truncatingIfNeeded: (count - 1) >> 8)]
    for word in [UInt32(region), pending] {
      body += (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
    var capability = PCICapability(PCICapability.messageVectors, body, writable: [0, 0xc0])
    capability.whenAccessed = { [weak self] body, isWrite in
      if isWrite { self?.control(body[1]) }
    }
    return capability
  }

  /// The high byte of the message control register.
  private func control(_ value: UInt8) {
    state.withLock { state in
      state.isEnabled = value & 0x80 != 0
      state.isMasked = value & 0x40 != 0
      for number in state.vectors.indices { release(number, &state) }
    }
  }

  /// Sends what waited, if nothing holds it back any more.
  private func release(_ number: Int, _ state: inout State) {
    let vector = state.vectors[number]
    guard state.isEnabled, !state.isMasked, !vector.isMasked, vector.isPending else { return }
    state.vectors[number].isPending = false
    send(vector)
  }

  private static let entrySize = 16

  /// Reads take 4 or 8 aligned bytes; others are zero.
  public func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    guard isWhole(offset, width) else { return 0 }
    return state.withLock { state in
      let low = UInt64(word(offset, state))
      return width == .quad ? low | UInt64(word(offset + 4, state)) << 32 : low
    }
  }

  public func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    guard isWhole(offset, width) else { return }
    state.withLock { state in
      setWord(offset, UInt32(truncatingIfNeeded: value), &state)
      if width == .quad { setWord(offset + 4, UInt32(truncatingIfNeeded: value >> 32), &state) }
    }
  }

  private func isWhole(_ offset: UInt64, _ width: AccessWidth) -> Bool {
    width.bytes >= 4 && offset % UInt64(width.bytes) == 0
  }

  private func word(_ offset: UInt64, _ state: State) -> UInt32 {
    if offset >= regionSize / 2 { return pendingBits(Int(offset - regionSize / 2), state) }
    let (number, field) = Int(offset).quotientAndRemainder(dividingBy: Self.entrySize)
    guard state.vectors.indices.contains(number) else { return 0 }
    let vector = state.vectors[number]
    switch field {
    case 0: return UInt32(truncatingIfNeeded: vector.address)
    case 4: return UInt32(truncatingIfNeeded: vector.address >> 32)
    case 8: return vector.data
    default: return vector.isMasked ? 1 : 0
    }
  }

  private func pendingBits(_ offset: Int, _ state: State) -> UInt32 {
    (0..<32).reduce(0) { bits, bit in
      let number = offset * 8 + bit
      let isPending = state.vectors.indices.contains(number) && state.vectors[number].isPending
      return bits | (isPending ? 1 << UInt32(bit) : 0)
    }
  }

  private func setWord(_ offset: UInt64, _ value: UInt32, _ state: inout State) {
    let (number, field) = Int(offset).quotientAndRemainder(dividingBy: Self.entrySize)
    guard offset < regionSize / 2, state.vectors.indices.contains(number) else { return }
    switch field {
    case 0:
      let high = state.vectors[number].address & ~0xffff_ffff
      state.vectors[number].address = high | UInt64(value & ~3)
    case 4:
      let low = state.vectors[number].address & 0xffff_ffff
      state.vectors[number].address = low | UInt64(value) << 32
    case 8: state.vectors[number].data = value
    default:
      state.vectors[number].isMasked = value & 1 != 0
      release(number, &state)
    }
  }
}
