internal import CLinux
internal import Host

/// The profile of one processor while it is used, on its own thread.
@safe
final class ProcessorProfile {
  private static let capacity = 1 << 19
  /// Nanoseconds of processor time; the kernel may round that up to its tick.
  private static let interval: UInt64 = 1_000_000
  /// What a sample during translation has as its activity.
  static let translation: UInt64 = 1 << 8

  private let profile: Profile
  private let samples: UnsafeMutablePointer<apus_sample>
  private let sampler: UnsafeMutablePointer<apus_sampler>
  private let activity: UnsafeMutablePointer<UInt64>
  private var isSampling = false
  private var translationTime: UInt64 = 0
  private var blocks = 0
  private var instructions = 0
  private var codeBytes = 0
  private var systemInstructions: [UInt8: Int] = [:]
  private var exits: [Profile.Exit: Int] = [:]

  init(_ profile: Profile, state: UnsafeMutablePointer<CPUState>) {
    self.profile = profile
    let base = UnsafeMutableRawPointer(state)
    func word(_ offset: Int32) -> UnsafeMutablePointer<UInt64> {
      unsafe (base + Int(offset)).assumingMemoryBound(to: UInt64.self)
    }
    unsafe samples = .allocate(capacity: Self.capacity)
    unsafe activity = word(StateLayout.run(\.activity))
    unsafe sampler = .allocate(capacity: 1)
    unsafe sampler.initialize(
      to: apus_sampler(
        page: word(StateLayout.field(\CPUState.codePage)), activity: activity, samples: samples,
        capacity: UInt64(Self.capacity), count: 0, lost: 0, timer: 0))
  }

  deinit {
    unsafe sampler.deallocate()
    unsafe samples.deallocate()
  }

  /// Samples the thread that calls, from now on.
  func begin() {
    guard !isSampling else { return }
    isSampling = unsafe apus_sampling_begin(sampler, Self.interval) == 0
  }

  func note(_ exit: Profile.Exit) { exits[exit, default: 0] += 1 }
  func note(_ operation: Operation) { systemInstructions[operation.rawValue, default: 0] += 1 }

  /// Times a translation.
  func translating(in store: BlockStore, _ body: () -> Int32?) -> Int32? {
    let (start, before, used) = (
      HostClock.threadNanoseconds, store.count.translatedInstructions, store.usedBytes
    )
    let previous = unsafe activity.pointee
    unsafe activity.pointee = Self.translation
    let made = body()
    unsafe activity.pointee = previous
    translationTime += HostClock.threadNanoseconds - start
    blocks += 1
    instructions += store.count.translatedInstructions - before
    codeBytes += store.usedBytes - used
    return made
  }

  /// Adds all to the machine's profile; on the thread that was sampled.
  func end(_ processor: Processor) {
    if isSampling { unsafe apus_sampling_end(sampler) }
    isSampling = false
    let store = processor.translation.store
    let counters = processor.run.helperCalls
    profile.add { result in
      result.time += HostClock.threadNanoseconds
      result.lostSamples += Int(unsafe sampler.pointee.lost)
      for index in 0..<Int(unsafe sampler.pointee.count) {
        add(unsafe samples[index], in: store, to: &result)
      }
      for index in result.calls.indices { result.calls[index] += counters[index] }
      for (operation, count) in systemInstructions {
        let name = Operation(rawValue: operation).map { "\($0)" } ?? "?"
        result.systemInstructions[name, default: 0] += count
      }
      result.exits.merge(exits, uniquingKeysWith: +)
      result.blocks += blocks
      result.guestInstructions += instructions
      result.translationTime += translationTime
      result.codeBytes += codeBytes
      result.flushes += store.count.flushes
      if profile.keepsMap { result.map += map(of: store) }
    }
  }

  private func add(_ sample: apus_sample, in store: BlockStore, to result: inout Profile.Result) {
    result.samples += 1
    if sample.activity == Self.translation {
      result.samplesOfTranslation += 1
    } else if sample.activity != 0 {
      result.samplesByActivity[min(Int(sample.activity), result.calls.count - 1)] += 1
    } else if store.cache.offset(running: sample.instruction) == nil {
      result.samplesOutside += 1
    } else {
      result.samplesByActivity[Profile.Activity.code.rawValue] += 1
      guard let (block, place) = store.guestPlace(of: sample.instruction) else { return }
      let offset = place ?? store[block: block].physical & 0xfff
      result.samplesByAddress[sample.page &+ offset, default: 0] += 1
    }
  }

  private func map(of store: BlockStore) -> [Profile.MappedBlock] {
    (1..<Int32(store.count.blocks)).map { index in
      let block = store[block: index]
      return Profile.MappedBlock(
        start: store.cache.run(at: block.crossPageEntry),
        size: Int(block.end - block.crossPageEntry), guestPhysical: block.physical)
    }
  }
}
