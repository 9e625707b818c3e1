public import GuestMemory
import Host
public import KVM
import KVMABI

/// The software engine: runs guests on any x86-64 host, by translation.
public struct SoftHypervisor: Hypervisor {
  public static let name = "soft"

  public init() { HostProcessor.beginMeasurement() }

  public func supportedCPUID() throws(KVMError) -> [CPUIDEntry] { CPUIDLeaves.all() }

  public func makeMachine(
    memory: GuestMemory, processors: Int
  ) throws(KVMError) -> SoftMachine {
    if let obstacle = HostRequirement.unmet.first { throw .unavailable(obstacle.sentence) }
    return try refusing { () throws(SystemError) in try SoftMachine(memory: memory) }
  }
}
