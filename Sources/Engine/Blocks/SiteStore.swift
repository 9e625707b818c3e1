internal import Bits
internal import Host

/// The instructions that blocks hand to `Processor.execute`, kept decoded.
@safe
struct SiteStore {
  struct Site: BitwiseCopyable {
    var instruction: Instruction
    /// Offset in its page.
    var offset: UInt16
  }

  static let capacity = 200_000
  private let sites: UnsafeMutablePointer<Site>
  private let used: UnsafeMutablePointer<Int>

  static var memorySize: Int { (capacity + 1) * MemoryLayout<Site>.stride + 64 }

  init(memory: borrowing Mapping) {
    unsafe used = memory.base.bindMemory(to: Int.self, capacity: 1)
    unsafe sites = (memory.base + 64).bindMemory(to: Site.self, capacity: Self.capacity)
  }

  var count: Int { unsafe used.pointee }
  var isFull: Bool { count + BlockTranslator.limit >= Self.capacity }

  func insert(_ instruction: Instruction, offset: UInt16) -> Int {
    let index = count
    unsafe sites[index] = Site(instruction: instruction, offset: offset)
    unsafe used.pointee += 1
    return index
  }

  subscript(index: Int) -> Site {
    @inline(always) _read { yield unsafe sites[index] }
  }

  func reset() { unsafe used.pointee = 0 }
}
