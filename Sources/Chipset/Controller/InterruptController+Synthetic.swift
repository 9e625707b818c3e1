/// Synthetic interrupts: vectors that somebody beside the controllers has taken over, as Hyper-V's
/// interface does.
extension InterruptController {
  /// Delivers an edge-triggered interrupt to one processor; returns whether its APIC takes it.
  @discardableResult
  public func deliver(vector: UInt8, to processor: Int) -> Bool {
    state.withLock { $0.deliver(vector: vector, to: processor) }
  }

  /// Sets which vectors' ends the processor is told of with `.endOfSynthetic`, and which end as
  /// they are taken.
  public func setSynthetic(reported: VectorSet, endedAtOnce: VectorSet, processor: Int) {
    state.withLock { state in
      state.locals[processor].reported = reported
      state.locals[processor].endedAtOnce = endedAtOnce
    }
  }

  /// Sets who knows the processor and the vector of a synthetic interrupt that a line leads to;
  /// `nil` where there is none now. Called with the lock held, and must not call back.
  public func onSynthetic(
    _ find: @escaping @Sendable (SyntheticInput) -> (processor: Int, vector: UInt8)?
  ) {
    state.withLock { $0.findSynthetic = find }
  }

  /// Tells those who wait for the end of the line that leads to a synthetic interrupt.
  public func ended(_ input: SyntheticInput) {
    state.withLock { state in
      if let line = state.routes.line(of: input) { state.noteEnd(of: line) }
    }
  }
}

/// A virtual processor's synthetic interrupt, by the guest's numbers.
public struct SyntheticInput: Hashable, Sendable, BitwiseCopyable {
  public var processor: UInt32
  public var source: UInt32

  public init(processor: UInt32, source: UInt32) {
    (self.processor, self.source) = (processor, source)
  }
}

extension ControllerState {
  mutating func deliver(vector: UInt8, to processor: Int) -> Bool {
    guard locals[processor].isEnabled else { return false }
    locals[processor].accept(vector: vector, isLevel: false)
    announce(processor)
    return true
  }

  /// Returns how many took a line's synthetic interrupt, -1 when it leads nowhere.
  mutating func raise(_ input: SyntheticInput) -> Int {
    guard let (processor, vector) = findSynthetic(input) else { return -1 }
    return deliver(vector: vector, to: processor) ? 1 : -1
  }
}
