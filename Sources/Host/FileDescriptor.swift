internal import CLinux
import Glibc

/// An open file that closes itself when its owner lets go of it.
public struct FileDescriptor: ~Copyable, Sendable {
  public let rawValue: CInt

  /// Takes ownership of an open descriptor.
  public init(owning rawValue: CInt) { self.rawValue = rawValue }

  deinit { _ = close(rawValue) }
}

extension FileDescriptor {
  /// Whether the program at `path` gets capabilities that its caller may lack (capabilities(7)).
  public static func grantsCapabilities(_ path: String) -> Bool {
    unsafe apus_has_capabilities(path) != 0
  }
}
