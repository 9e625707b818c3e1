/// Recent translations of code pages: from linear page to guest-physical page.
///
/// Flushing bumps a generation instead of touching entries; entries of global pages carry the
/// generation that only whole flushes bump.
@safe
struct FetchTLB {
  private static let entries = 1024

  struct Entry: BitwiseCopyable {
    var linear: UInt64 = 0
    var physical: UInt64 = 0
    var generation: UInt32 = 0
    var isUser = false
    var isGlobal = false
  }

  struct Generations: BitwiseCopyable {
    var local: UInt32 = 1
    var global: UInt32 = 1
  }

  private let table: UnsafeMutablePointer<Entry>
  private let generations: UnsafeMutablePointer<Generations>

  static let memorySize = 64 + entries * MemoryLayout<Entry>.stride

  init(memory: UnsafeMutableRawPointer) {
    unsafe generations = memory.bindMemory(to: Generations.self, capacity: 1)
    unsafe generations.initialize(to: Generations())
    unsafe table = (memory + 64).bindMemory(to: Entry.self, capacity: Self.entries)
  }

  private static func index(_ linear: UInt64) -> Int {
    Int(truncatingIfNeeded: linear >> 12) & (entries - 1)
  }

  /// The page that `linear` is in, and whether it is global; `nil` on a miss.
  func find(_ linear: UInt64, user: Bool) -> (physical: UInt64, isGlobal: Bool)? {
    let entry = unsafe table[Self.index(linear)]
    guard entry.linear == linear & ~0xfff, entry.isUser == user else { return nil }
    let current = unsafe entry.isGlobal ? generations.pointee.global : generations.pointee.local
    return entry.generation == current ? (entry.physical, entry.isGlobal) : nil
  }

  func enter(_ linear: UInt64, physical: UInt64, user: Bool, isGlobal: Bool) {
    let generation = unsafe isGlobal ? generations.pointee.global : generations.pointee.local
    unsafe table[Self.index(linear)] = Entry(
      linear: linear & ~0xfff, physical: physical, generation: generation, isUser: user,
      isGlobal: isGlobal)
  }

  func flush(keepingGlobal: Bool) {
    unsafe generations.pointee.local &+= 1
    if !keepingGlobal { unsafe generations.pointee.global &+= 1 }
  }

  func flush(pageOf linear: UInt64) {
    let index = Self.index(linear)
    if unsafe table[index].linear == linear & ~0xfff { unsafe table[index].generation = 0 }
  }
}
