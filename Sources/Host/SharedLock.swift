import Glibc

/// A lock that many may hold at the same time to use something, or one alone to change it.
@safe
public final class SharedLock: @unchecked Sendable {
  // The pointer is set once; the C library does the rest.
  private let lock: UnsafeMutablePointer<pthread_rwlock_t>

  public init() {
    unsafe lock = .allocate(capacity: 1)
    unsafe pthread_rwlock_init(lock, nil)
  }

  deinit {
    unsafe pthread_rwlock_destroy(lock)
    unsafe lock.deallocate()
  }

  /// Runs `body` while nobody holds the lock alone.
  public func shared<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe pthread_rwlock_rdlock(lock)
    defer { unsafe pthread_rwlock_unlock(lock) }
    return try body()
  }

  /// Runs `body` while nobody else holds the lock.
  public func alone<Result, Failure>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe pthread_rwlock_wrlock(lock)
    defer { unsafe pthread_rwlock_unlock(lock) }
    return try body()
  }
}
