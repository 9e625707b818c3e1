/// What looking through all of an image's tables has shown.
public struct QCOW2Report: Codable, Hashable, Sendable {
  /// Clusters that the disk has, in the image or not.
  public var totalClusters: UInt64 = 0
  public var allocatedClusters: UInt64 = 0
  public var compressedClusters: UInt64 = 0
  /// Clusters that do not follow the one before them in the file.
  public var fragmentedClusters: UInt64 = 0
  /// Clusters that are counted and not used: space lost, nothing worse.
  public var leaks: UInt64 = 0
  /// What may destroy data: clusters used and not counted, and references that cannot be.
  public var corruptions: UInt64 = 0
  /// Behind the last cluster that is counted, in bytes.
  public var imageEnd: UInt64 = 0

  public init() {}

  public var isClean: Bool { leaks == 0 && corruptions == 0 }
}
