public import DeviceModel
import Synchronization

/// A line that remembers its level and counts its edges.
public final class FakeLine: InterruptLine {
  private let state = Mutex((level: false, rises: 0))
  public init() {}

  public var isAsserted: Bool { state.withLock { $0.level } }
  public var rises: Int { state.withLock { $0.rises } }

  public func set(_ isAsserted: Bool) {
    state.withLock { state in
      if isAsserted, !state.level { state.rises += 1 }
      state.level = isAsserted
    }
  }
}
