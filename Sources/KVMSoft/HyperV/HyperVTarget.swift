import Chipset
import KVM
import Synchronization

/// What others need to find a processor by Hyper-V's numbers, and to interrupt it. Any thread.
final class HyperVTarget: Sendable {
  private struct State {
    var index: UInt32
    var isActive = false
    /// The registers of the synthetic interrupt sources: vector, masked, ends automatically.
    var sources = FixedArray<16, UInt64>(repeating: HyperVTarget.masked)
  }

  /// The processor's number at the interrupt controller.
  let local: Int
  private let state: Mutex<State>

  fileprivate static let masked: UInt64 = 1 << 16
  private static let endsAutomatically: UInt64 = 1 << 17

  init(index: UInt32, local: Int) {
    self.local = local
    state = Mutex(State(index: index))
  }

  /// The processor's number to the guest, which the client may choose.
  var index: UInt32 {
    get { state.withLock { $0.index } }
    set { state.withLock { $0.index = newValue } }
  }

  /// Lets others raise the processor's synthetic interrupts.
  func activate() { state.withLock { $0.isActive = true } }

  func source(_ number: Int) -> UInt64 { state.withLock { $0.sources[number] } }

  func setSource(_ number: Int, _ value: UInt64) {
    state.withLock { $0.sources[number] = value }
  }

  /// The vector of a source; `nil` where there is none, or it is masked.
  func vector(of source: UInt32) -> UInt8? {
    state.withLock { state in
      guard state.isActive, source < 16 else { return nil }
      let value = state.sources[Int(source)]
      return value & Self.masked == 0 ? UInt8(truncatingIfNeeded: value) : nil
    }
  }

  /// All vectors in use, and those of them that end as they are taken.
  var vectors: (used: VectorSet, endedAtOnce: VectorSet) {
    var (used, endedAtOnce) = (VectorSet(), VectorSet())
    for value in state.withLock({ $0.sources.elements }) where value & Self.masked == 0 {
      used.insert(UInt8(truncatingIfNeeded: value))
      if value & Self.endsAutomatically != 0 {
        endedAtOnce.insert(UInt8(truncatingIfNeeded: value))
      }
    }
    return (used, endedAtOnce)
  }
}
