internal import CLinux
import Glibc
import Host
public import KVM

/// A virtual processor of the host's kernel.
public final class KernelCPU: ExitingCPU {
  let file: KVMFile
  let page: RunPage
  private let bell: KernelDoorbell
  /// Keeps the machine's memory in place.
  private let machine: KernelMachine
  /// What is left of the port access that ended the last run.
  private var ports = PortAccess()
  /// Where the answer to the pending read goes.
  private var pendingRead: (offset: Int, size: Int)?

  init(file: KVMFile, machine: KernelMachine) throws(KVMError) {
    self.file = file
    self.machine = machine
    page = try RunPage(of: file, size: machine.runPageSize)
    bell = try KernelDoorbell(page: page)
  }

  public var doorbell: any Doorbell { bell }

  public func run() throws(KVMError) -> Exit {
    if let exit = nextPortAccess() { return exit }
    let result = apus_ioctl(file.descriptor.rawValue, apus_kvm_run, 0)
    switch -result {
    case ...0: return decodeExit()
    case Int(EINTR), Int(EAGAIN):
      page.setImmediateExit(false)
      return .stopped(.interrupted)
    case let number: throw .refused(call: "KVM_RUN", errno: Int32(number))
    }
  }

  public func answer(_ value: UInt64) {
    guard let (offset, size) = pendingRead else { return }
    pendingRead = nil
    page.store(value, at: offset, size: size)
  }

  public func requestInterruptWindow(_ wanted: Bool) {
    page.content.request_interrupt_window = wanted ? 1 : 0
  }

  /// One element of a string access after another, then nothing.
  private func nextPortAccess() -> Exit? {
    guard ports.remaining > 0 else { return nil }
    let offset = ports.offset
    ports.remaining -= 1
    ports.offset += ports.size
    if ports.isWrite {
      let value = UInt32(truncatingIfNeeded: page.load(at: offset, size: ports.size))
      return .portWrite(ports.port, value: value, size: ports.size)
    }
    pendingRead = (offset, ports.size)
    return .portRead(ports.port, size: ports.size)
  }

  private func decodeExit() -> Exit {
    switch CInt(bitPattern: page.content.exit_reason) {
    case KVM_EXIT_IO:
      ports = PortAccess(page)
      return nextPortAccess() ?? .stopped(.interrupted)
    case KVM_EXIT_MMIO: return decodeMemoryAccess()
    case KVM_EXIT_HLT: return .stopped(.halted)
    case KVM_EXIT_INTR: return .stopped(.interrupted)
    case KVM_EXIT_IRQ_WINDOW_OPEN: return .stopped(.interruptWindow)
    case KVM_EXIT_SHUTDOWN: return .stopped(.shutdown)
    case KVM_EXIT_SYSTEM_EVENT:
      return .stopped(.systemEvent(SystemEvent(number: page.content.system_event.type)))
    case KVM_EXIT_FAIL_ENTRY:
      let reason = page.content.fail_entry.hardware_entry_failure_reason
      return .stopped(.failedEntry(reason: reason))
    case KVM_EXIT_INTERNAL_ERROR:
      return .stopped(.internalError(InternalError(number: page.content.internal.suberror)))
    default: return .stopped(.unknown(reason: page.content.exit_reason))
    }
  }

  private func decodeMemoryAccess() -> Exit {
    let address = page.content.mmio.phys_addr
    let size = min(Int(page.content.mmio.len), 8)
    let offset = Int(apus_kvm_run_mmio_data)
    if page.content.mmio.is_write != 0 {
      return .memoryWrite(address, value: page.load(at: offset, size: size), size: size)
    }
    pendingRead = (offset, size)
    return .memoryRead(address, size: size)
  }
}

/// The elements of a port access that are still to be reported.
private struct PortAccess {
  var port: UInt16 = 0
  var size = 0
  var isWrite = false
  /// Where the next element is in the shared page.
  var offset = 0
  var remaining = 0

  init() {}

  init(_ page: RunPage) {
    port = page.content.io.port
    size = Int(page.content.io.size)
    isWrite = CInt(page.content.io.direction) == KVM_EXIT_IO_OUT
    offset = Int(truncatingIfNeeded: page.content.io.data_offset)
    remaining = Int(page.content.io.count)
  }
}
