import Glibc

/// An open file that closes itself when its owner lets go of it.
public struct FileDescriptor: ~Copyable, Sendable {
  public let rawValue: CInt

  /// Takes ownership of an open descriptor.
  public init(owning rawValue: CInt) { self.rawValue = rawValue }

  deinit { _ = close(rawValue) }
}
