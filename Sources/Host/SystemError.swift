import Glibc

/// The number a failed system call leaves behind.
public struct SystemError: Error, Hashable {
  public let call: String
  public let errno: CInt

  public init(call: String, errno: CInt) {
    self.call = call
    self.errno = errno
  }

  /// What the C library says of the number, such as "No such file or directory".
  public var reason: String { unsafe String(cString: strerror(errno)) }
}

/// Returns `result`, or throws the error that a call returning `-errno` reports.
@inlinable
public func checked<Number: SignedInteger>(
  _ result: Number, _ call: String
) throws(SystemError) -> Number {
  if result < 0 { throw SystemError(call: call, errno: CInt(-result)) }
  return result
}
