internal import CLinux
import Glibc
import Host
public import KVM
import KVMABI

/// A virtual processor of the host's kernel.
public final class KernelCPU: CompleteCPU {
  let file: KVMFile
  let page: RunPage
  private let bell: KernelDoorbell
  /// Keeps the machine's memory in place.
  let machine: KernelMachine
  /// Mapped when it is asked for.
  var dirtyRing: MappedDirtyRing?

  init(file: KVMFile, machine: KernelMachine) throws(KVMError) {
    self.file = file
    self.machine = machine
    page = try RunPage(of: file, size: machine.sharedSize)
    bell = try KernelDoorbell(page: page)
    machine.shared.withLock { [page] shared in shared.page = shared.page ?? page }
  }

  public var doorbell: any Doorbell { bell }

  public func run() throws(KVMError) -> Exit {
    let result = apus_ioctl(file.descriptor.rawValue, KVMRequest.KVM_RUN.rawValue, 0)
    switch -result {
    case ...0: return page.area.exit
    case Int(EINTR), Int(EAGAIN):
      page.area.isImmediateExit = false
      return .stopped(.interrupted)
    case Int(EFAULT), Int(EHWPOISON):
      if case .stopped(.memoryFault(let fault)) = page.area.exit {
        return .stopped(.memoryFault(fault))
      }
      throw .refused(call: "KVM_RUN", errno: Int32(-result))
    case let number: throw .refused(call: "KVM_RUN", errno: Int32(number))
    }
  }

  public func answer(_ value: UInt64) { page.area.answer(value) }

  public func refuse() { page.area.refuse() }

  public func withPortData<Result>(_ body: (inout MutableRawSpan) -> Result) -> Result {
    page.area.withPortData(body)
  }

  public var exitDetails: [UInt64] { page.area.exitDetails }

  public var status: RunStatus { page.area.status }

  public func setTaskPriority(_ priority: UInt64) { page.area.content.cr8 = priority }

  public func requestInterruptWindow(_ wanted: Bool) {
    page.area.content.request_interrupt_window = wanted ? 1 : 0
  }
}
