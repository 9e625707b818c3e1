/// A directory of the host's that a guest can mount.
public struct ShareOptions: Codable, Hashable, Sendable {
  public var path: String
  /// What the guest mounts it by.
  public var tag: String
  public var isReadOnly: Bool

  public init(path: String, tag: String, isReadOnly: Bool = false) {
    (self.path, self.tag, self.isReadOnly) = (path, tag, isReadOnly)
  }
}
