import Chipset
import DeviceModel
import Engine
import Glibc
import GuestMemory
import Host
public import KVM
import Synchronization

/// A virtual machine of the software engine.
public final class SoftMachine: VirtualMachine {
  /// The engine's processors, as they know of each other, and their memory.
  let group: ProcessorGroup
  let settings = MachineSettings()
  /// A number that only its reader knows a use for (KVM_SET_NR_MMU_PAGES).
  let pageTables = Atomic(0)
  let counters = CounterOffsets()
  /// Where the machine's clocks stood when it was made.
  let epoch = MachineEpoch()
  let timeline: MachineTimeline
  /// The interrupt hardware, once there is any.
  let chips = Mutex<InterruptChips?>(nil)
  let processors = Mutex(ProcessorTable())
  let interruptEvents = InterruptEvents()
  let guestWrites: GuestWrites
  let partition = HyperVPartition()

  init(memory: GuestMemory) throws(SystemError) {
    group = try ProcessorGroup(memory: memory)
    timeline = MachineTimeline(start: epoch.nanoseconds)
    guestWrites = try GuestWrites()
  }

  deinit { chips.withLock { $0?.stop() } }

  /// The processors of a machine: which there are, and which boots.
  struct ProcessorTable: Sendable {
    var identifiers: Set<UInt32> = []
    /// The end of the identifiers, where the machine's owner has set one.
    var limit: UInt64?
    var bootProcessor: UInt32 = 0
    var dirtyRings = DirtyRings()
  }

  /// How many processors a machine has at most, and the end of their numbers.
  static let processorLimit = 1024
  static let identifierLimit: UInt32 = 4096

  var bootProcessor: UInt32 { processors.withLock { $0.bootProcessor } }

  public func makeCPU(id: UInt32) throws(KVMError) -> SoftCPU {
    let obstacle = processors.withLock { table -> Int32? in
      let limit = table.limit ?? UInt64(Self.identifierLimit)
      guard id < limit, table.identifiers.count < Self.processorLimit else {
        return EINVAL
      }
      return table.identifiers.insert(id).inserted ? nil : EEXIST
    }
    if let obstacle { throw .refused(call: "KVM_CREATE_VCPU", errno: obstacle) }
    do throws(KVMError) {
      return try SoftCPU(id: id, machine: self)
    } catch {
      processors.withLock { _ = $0.identifiers.remove(id) }
      throw error
    }
  }
}

/// A moment at which several clocks were read: time zero of a machine.
struct MachineEpoch: Sendable {
  let timeStamp = HostProcessor.timeStamp
  let nanoseconds = HostClock.nanoseconds
}
