public import KVM

/// The software engine: runs guests on any x86-64 host, by translation.
public struct SoftHypervisor: Sendable {
  public static let name = "soft"

  public init() {}

  public func supportedCPUID() throws(KVMError) -> [CPUIDEntry] { CPUIDLeaves.all() }
}
