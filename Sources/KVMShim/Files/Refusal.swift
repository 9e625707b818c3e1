import Glibc
import KVM

/// What ioctls fail with; only the number reaches the program.
extension KVMError {
  private init(_ errno: Int32) { self = .refused(call: "ioctl", errno: errno) }

  static let invalid = Self(EINVAL)
  /// The descriptor's kind has no such request.
  static let unknownRequest = Self(ENOTTY)
  static let badAddress = Self(EFAULT)
  static let tooBig = Self(E2BIG)
  static let noAddress = Self(ENXIO)
  static let noDevice = Self(ENODEV)
  static let interrupted = Self(EINTR)
  static let again = Self(EAGAIN)
  static let inputOutput = Self(EIO)

  /// For a call of the system's that failed.
  static func system(_ errno: Int32) -> Self { Self(errno) }
}

/// The result of an ioctl that has none.
func done(_ nothing: Void) -> Int { 0 }
