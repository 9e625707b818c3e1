import Glibc
import KVM
import KVMLinux
import KVMSoft
import Testing

/// The same checks on the host's kernel and on the engine. The first suite is also run under the
/// preload library, where `/dev/kvm` is the engine. It has to be asked for, by the environment
/// variable APUS_KVM_CONFORMANCE: some hosts' KVM never returns from what it cannot interpret.
@Suite(
  .enabled(
    if: hostKVM != nil && getenv("APUS_KVM_CONFORMANCE") != nil,
    "the checks of /dev/kvm run where APUS_KVM_CONFORMANCE is set"), .serialized)
struct KernelConformanceTests {
  typealias HostCheck = Check<KernelHypervisor>
  static let checks =
    HostCheck.system + HostCheck.running + HostCheck.state + HostCheck.signals + HostCheck.memory
    + HostCheck.dirtyPages + HostCheck.dirtyRings + HostCheck.interrupts + HostCheck.connections
    + HostCheck.time + HostCheck.management

  @Test(arguments: checks) func `the host's kernel`(check: HostCheck) throws {
    do {
      try check.body(try #require(hostKVM))
    } catch let lacking as Lacking {
      try Test.cancel("this host has \(lacking.sentence)")
    }
  }
}

@Suite struct SoftConformanceTests {
  typealias SoftCheck = Check<SoftHypervisor>
  static let checks =
    SoftCheck.system + SoftCheck.running + SoftCheck.state + SoftCheck.memory
    + SoftCheck.dirtyPages + SoftCheck.dirtyRings + SoftCheck.interrupts + SoftCheck.connections
    + SoftCheck.time + SoftCheck.management

  @Test(arguments: checks) func `the engine`(check: SoftCheck) throws {
    try check.body(SoftHypervisor())
  }
}
