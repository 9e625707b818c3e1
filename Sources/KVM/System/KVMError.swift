import Glibc

/// Why a hypervisor did not do what it was asked. Guests never cause one: what they do is an ``Exit``.
public enum KVMError: Error, Hashable, Sendable {
  /// A call was refused; `errno` as the system reports it, and as KVM documents it for the call.
  case refused(call: String, errno: Int32)
  /// The hypervisor is not there, or lacks what every guest needs; a sentence.
  case unavailable(String)
  /// This hypervisor cannot do it, and asking again will not help; a sentence.
  case unsupported(String)

  /// The number with which KVM's own interface reports it.
  public var errno: Int32 {
    switch self {
    case .refused(_, let errno): errno
    case .unavailable: ENODEV
    case .unsupported: EINVAL
    }
  }
}
