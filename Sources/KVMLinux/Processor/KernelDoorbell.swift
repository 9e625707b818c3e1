internal import CLinux
import KVM

/// Takes one processor of the host's kernel out of KVM_RUN.
final class KernelDoorbell: Doorbell {
  private let page: RunPage
  private let thread: CInt

  /// For a processor that the calling thread runs.
  init(page: RunPage) throws(KVMError) {
    let result = apus_prepare_kick()
    if result < 0 { throw .refused(call: "sigaction", errno: -result) }
    self.page = page
    thread = apus_thread_id()
  }

  func ring() {
    // The flag stops a run that is about to begin, the signal one that has begun.
    page.area.isImmediateExit = true
    _ = apus_kick(thread)
  }
}
