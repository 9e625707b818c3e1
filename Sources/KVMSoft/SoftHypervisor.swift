public import GuestMemory
public import KVM

/// The software engine: runs guests on any x86-64 host, by translation.
public struct SoftHypervisor: Hypervisor {
  public static let name = "soft"

  public init() {}

  public func supportedCPUID() throws(KVMError) -> [CPUIDEntry] { CPUIDLeaves.all() }

  public func makeMachine(
    memory: GuestMemory, processors: Int
  ) throws(KVMError) -> SoftMachine {
    SoftMachine(memory: memory, processors: processors)
  }
}
