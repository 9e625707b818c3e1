public import DeviceModel
public import Host

/// A disk image behind a few threads, which carry its requests out as they come.
public final class DiskWorkers: BlockStore {
  typealias Completion = @Sendable (BlockResult) -> Void

  private struct Job: Sendable {
    let request: BlockRequest
    let completion: Completion
  }

  private struct State: Sendable {
    var waiting: [Job] = []
    /// How many requests use memory now.
    var running = 0
    /// What is done, and nobody has been told.
    var done: [(completion: Completion, result: BlockResult)] = []
    var isClosing = false
  }

  private enum Work {
    case carryOut(Job)
    case tell(Completion, BlockResult)
    case end
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
        try HostThread(named: "disk", stackSize: 1 << 20) { Self.work(state, image) })
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
    state.change { $0.waiting.append(Job(request: request, completion: completion)) }
  }

  /// Has one of the threads call `completion`.
  func tell(_ completion: @escaping Completion, _ result: BlockResult) {
    state.change { $0.done.append((completion, result)) }
  }

  /// Carries out here what waits: the threads may all be calling completions, which want a lock that
  /// the caller has.
  public func drain() {
    while let job = state.withLock({ Self.next(&$0) }) {
      let result = image.perform(job.request)
      state.change { state in
        state.running -= 1
        state.done.append((job.completion, result))
      }
    }
    _ = state.wait { $0.running == 0 ? true : nil }
  }

  private static func next(_ state: inout State) -> Job? {
    if state.waiting.isEmpty { return nil }
    state.running += 1
    return state.waiting.removeFirst()
  }

  private static func work(_ state: Monitor<State>, _ image: any DiskImage) {
    while true {
      let work = state.wait { state -> Work? in
        if !state.done.isEmpty {
          let first = state.done.removeFirst()
          return .tell(first.completion, first.result)
        }
        if let job = next(&state) { return .carryOut(job) }
        return state.isClosing ? .end : nil
      }
      switch work {
      case .carryOut(let job)?:
        let result = image.perform(job.request)
        // First the memory is given back, then somebody hears of it.
        state.change { $0.running -= 1 }
        job.completion(result)
      case .tell(let completion, let result)?: completion(result)
      case .end?, nil: return
      }
    }
  }
}

extension DiskImage {
  /// Carries out a request; what the host refuses is its result.
  func perform(_ request: BlockRequest) -> BlockResult {
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
