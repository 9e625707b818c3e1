import CShim
import Glibc
import KVM
import KVMABI

/// Makes a file that holds counters in KVM's binary format.
///
/// Reference: KVM API, section 4.133, "KVM_GET_STATS_FD".
func makeStatisticsFile(_ name: String, _ statistics: [Statistic]) throws(KVMError) -> Int {
  let bytes = StatisticsFormat(name: name, statistics).bytes
  let descriptor = unsafe apus_shim_make_file("kvm-stats", bytes.count, 1)
  if descriptor < 0 { throw .system(-descriptor) }
  let written = unsafe bytes.withUnsafeBytes {
    unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0)
  }
  guard written == bytes.count else {
    close(descriptor)
    throw .system(ENOMEM)
  }
  return Int(descriptor)
}
