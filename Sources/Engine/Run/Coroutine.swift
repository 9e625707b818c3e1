internal import CLinux
package import Host

/// A flow of control with a stack of its own, beside that of the thread that resumes it.
///
/// The engine runs on one where its caller wants each device access as a value: an access deep in a
/// helper suspends, and the next ``resume()``, maybe on another thread, carries on from there.
/// Nothing that belongs to a thread (a lock, an access to a variable that is being modified) may be
/// held across ``suspend()``.
@safe
package final class Coroutine {
  /// Client programs' signal handlers may run on it, on top of the engine's own frames.
  private static let stackSize = 1 << 20
  private let stack: Mapping
  /// The stack pointers of whoever does not run: the resumer's and the coroutine's own.
  private let pointers: UnsafeMutablePointer<UInt64>
  private let change: StackRoutines.Switch
  private var body: () -> Void = {}
  /// Whether `body` has returned; it must not be resumed then.
  package private(set) var isOver = false

  /// A coroutine that does nothing yet.
  package init(on processor: Processor) throws(SystemError) {
    stack = try Mapping(stackOf: Self.stackSize)
    unsafe pointers = .allocate(capacity: 2)
    let (cache, routines) = (processor.translation.store.cache, processor.translation.thunks.stacks)
    unsafe change = unsafe unsafeBitCast(
      Int(cache.run(at: routines.change)), to: StackRoutines.Switch.self)
    let enter: @convention(c) (UInt64) -> Void = { Coroutine.enter($0) }
    let function = unsafe UInt64(unsafeBitCast(enter, to: UInt.self))
    let this = unsafe UInt64(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    // As `change` leaves a stack: control words, GS base, R15 to R12, RBX, RBP, return address.
    let frame: [UInt64] = [
      0x37f << 32 | 0x1f80, 0, 0, 0, 0, function, this, 0, cache.run(at: routines.start),
    ]
    let top = unsafe (stack.base + stack.size - 8 * frame.count - 16)
      .assumingMemoryBound(to: UInt64.self)
    for (index, word) in frame.enumerated() { unsafe top[index] = word }
    unsafe pointers[1] = UInt64(UInt(bitPattern: top))
  }

  deinit { unsafe pointers.deallocate() }

  /// Has the coroutine begin with `body` when first resumed. It must be over before it is let go.
  package func begin(_ body: @escaping () -> Void) { self.body = body }

  /// Runs the coroutine until it suspends or is over.
  package func resume() { unsafe change(pointers, pointers[1]) }

  /// Goes back to whoever resumed the coroutine. To be called on it.
  package func suspend() { unsafe change(pointers + 1, pointers[0]) }

  private static func enter(_ coroutine: UInt64) {
    guard let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(coroutine)) else { return }
    unsafe Unmanaged<Coroutine>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
      $0.body()
      $0.isOver = true
      $0.suspend()
    }
  }
}
