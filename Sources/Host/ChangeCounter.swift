internal import CLinux
import Synchronization

/// A count of changes that a thread can sleep on. Counting a change takes no lock and allocates
/// nothing, so that signal handlers may do it.
@safe
public final class ChangeCounter: @unchecked Sendable {
  // The pointer is set once; what it points to is only used atomically.
  private let word: UnsafeMutablePointer<Atomic<UInt32>>
  private let sleepers = Atomic<Int>(0)

  public init() {
    unsafe word = .allocate(capacity: 1)
    unsafe word.initialize(to: Atomic(0))
  }

  deinit {
    unsafe word.deinitialize(count: 1)
    unsafe word.deallocate()
  }

  /// The number of changes so far, modulo 2^32.
  public var count: UInt32 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }

  /// Counts a change and wakes everyone who sleeps.
  public func add() {
    unsafe word.pointee.add(1, ordering: .sequentiallyConsistent)
    guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return }
    unsafe apus_futex_wake(word)
  }

  /// Sleeps while the count is `seen`. May return early.
  public func wait(while seen: UInt32) {
    sleepers.add(1, ordering: .sequentiallyConsistent)
    unsafe apus_futex_wait(word, seen)
    sleepers.subtract(1, ordering: .sequentiallyConsistent)
  }
}
