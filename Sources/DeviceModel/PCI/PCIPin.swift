import Synchronization

/// The interrupt pin of a function: a level, which the guest can cut off.
///
/// Reference: PCI Local Bus Specification 3.0, section 2.2.6.
final class PCIPin: InterruptLine {
  private struct State {
    var isAsserted = false
    var isDisabled = false
    var output: LineOutput
  }

  private let state: Mutex<State>

  init(_ line: any InterruptLine) { state = Mutex(State(output: LineOutput(line))) }

  func set(_ isAsserted: Bool) {
    state.withLock { state in
      state.isAsserted = isAsserted
      state.output.drive(isAsserted && !state.isDisabled)
    }
  }

  /// Whether the device wants an interrupt, also while it is cut off.
  var isAsserted: Bool { state.withLock { $0.isAsserted } }

  func setDisabled(_ isDisabled: Bool) {
    state.withLock { state in
      state.isDisabled = isDisabled
      state.output.drive(state.isAsserted && !isDisabled)
    }
  }
}

/// The interrupts of one function, as its device raises them.
public struct PCIInterrupts: Sendable {
  let pin: PCIPin?
  let messages: MessageVectors?

  /// Whether the guest uses messages and not the pin.
  public var usesMessages: Bool { messages?.isEnabled == true }

  /// How many messages there are.
  public var vectorCount: Int { messages?.count ?? 0 }

  /// Raises a message, if the guest uses messages.
  public func raise(_ vector: Int) { messages?.raise(vector) }

  /// Sets the level of the pin, which counts while the guest does not use messages.
  public func setPin(_ isAsserted: Bool) { pin?.set(isAsserted) }
}
