public import DeviceModel
public import Host

/// A disk image behind a few threads, which carry its requests out as they come.
public final class DiskWorkers: BlockStore {
  private typealias Job = @Sendable () -> Void

  private struct State: Sendable {
    var waiting: [Job] = []
    /// Waiting, or being carried out.
    var unfinished = 0
    var isClosing = false
  }

  private let image: any DiskImage
  private let state: Monitor<State>
  private let threads: [HostThread]

  /// - Parameter count: how many requests are carried out at the same time.
  public init(_ image: any DiskImage, threads count: Int = 2) throws(SystemError) {
    self.image = image
    let state = Monitor(State())
    self.state = state
    var threads: [HostThread] = []
    for _ in 0..<count {
      threads.append(
        try HostThread(named: "disk", stackSize: 1 << 20) { Self.work(state) })
    }
    self.threads = threads
  }

  deinit {
    state.change { $0.isClosing = true }
  }

  public var capacity: UInt64 { image.capacity }
  public var isReadOnly: Bool { image.isReadOnly }
  public var canDiscard: Bool { image.canDiscard }

  public func submit(
    _ request: BlockRequest, completion: @escaping @Sendable (BlockResult) -> Void
  ) {
    let (image, state) = (image, state)
    state.change { [state] inner in
      inner.unfinished += 1
      inner.waiting.append {
        let result = image.perform(request)
        // First the memory is given back, then somebody hears of it.
        state.change { $0.unfinished -= 1 }
        completion(result)
      }
    }
  }

  public func drain() {
    _ = state.wait { $0.unfinished == 0 ? true : nil }
  }

  private static func work(_ state: Monitor<State>) {
    while true {
      let job = state.wait { state -> Job?? in
        if !state.waiting.isEmpty { return .some(state.waiting.removeFirst()) }
        return state.isClosing ? .some(nil) : nil
      }
      guard let job, let job else { return }
      job()
    }
  }
}

extension DiskImage {
  /// Carries out a request; what the host refuses is its result.
  fileprivate func perform(_ request: BlockRequest) -> BlockResult {
    let range = request.offset..<request.offset + UInt64(request.count)
    do throws(SystemError) {
      switch request.operation {
      case .read: try read(request.pieces, at: request.offset)
      case .write: try write(request.pieces, at: request.offset)
      case .flush: try flush()
      case .discard: try discard(range)
      case .writeZeroes: try writeZeroes(range)
      }
      return .success
    } catch {
      return .failure(error.errno)
    }
  }
}
