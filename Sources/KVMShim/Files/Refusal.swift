import Glibc
import KVM

/// The error number with which an ioctl fails.
struct Refusal: Error {
  let number: Int32

  init(_ number: Int32) { self.number = number }
  init(_ error: KVMError) {
    switch error {
    case .refused(_, let errno): number = errno
    case .unavailable: number = ENODEV
    case .unsupported: number = EINVAL
    }
  }

  static let invalid = Refusal(EINVAL)
  /// The descriptor's kind has no such request.
  static let unknownRequest = Refusal(ENOTTY)
  static let badAddress = Refusal(EFAULT)
  static let tooBig = Refusal(E2BIG)
  static let noDevice = Refusal(ENXIO)
  static let interrupted = Refusal(EINTR)
}

/// Does what may fail with an error of the typed interface.
@inline(always)
func attempt<Value: ~Copyable>(
  _ body: () throws(KVMError) -> Value
) throws(Refusal) -> Value {
  do throws(KVMError) { return try body() } catch { throw Refusal(error) }
}
