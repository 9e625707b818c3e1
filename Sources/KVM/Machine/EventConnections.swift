/// An eventfd that raises an interrupt (`struct kvm_irqfd`).
public struct InterruptEventSource: Hashable, Sendable, BitwiseCopyable {
  /// The eventfd's descriptor.
  public var descriptor: Int32
  /// The global interrupt number.
  public var line: UInt32
  /// An eventfd that is written when the guest ends the interrupt: the line then is a level, which
  /// falls before.
  public var resample: Int32?

  public init(descriptor: Int32, line: UInt32, resample: Int32? = nil) {
    self.descriptor = descriptor
    self.line = line
    self.resample = resample
  }
}

/// Writes of the guest that only add 1 to an eventfd (`struct kvm_ioeventfd`).
public struct WriteEvent: Hashable, Sendable, BitwiseCopyable {
  public var descriptor: Int32
  public var space: AddressSpace
  public var address: UInt64
  /// 1, 2, 4 or 8 bytes; 0 for any.
  public var size: Int
  /// The only value that counts; `nil` for any.
  public var value: UInt64?

  public init(
    descriptor: Int32, _ space: AddressSpace, address: UInt64, size: Int, value: UInt64? = nil
  ) {
    self.descriptor = descriptor
    self.space = space
    self.address = address
    self.size = size
    self.value = value
  }
}

/// Ports or memory.
public enum AddressSpace: Hashable, Sendable, BitwiseCopyable {
  case ports, memory
}

/// A connection of Hyper-V's, which the guest signals by a call that only adds 1 to an eventfd
/// (`struct kvm_hyperv_eventfd`).
public struct HyperVConnection: Hashable, Sendable, BitwiseCopyable {
  /// The connection's number, below 2^24.
  public var identifier: UInt32
  public var descriptor: Int32

  public init(_ identifier: UInt32, descriptor: Int32) {
    (self.identifier, self.descriptor) = (identifier, descriptor)
  }
}

/// Addresses whose writes wait in a ring until the processor exits for another reason
/// (`struct kvm_coalesced_mmio_zone`).
public struct CoalescedZone: Hashable, Sendable, BitwiseCopyable {
  public var space: AddressSpace
  public var address: UInt64
  /// In bytes.
  public var size: UInt32

  public init(_ space: AddressSpace, address: UInt64, size: UInt32) {
    self.space = space
    self.address = address
    self.size = size
  }
}

/// A write that waited (`struct kvm_coalesced_mmio`).
public struct CoalescedWrite: Hashable, Sendable, BitwiseCopyable {
  public var space: AddressSpace
  public var address: UInt64
  public var size: UInt32
  /// Little-endian.
  public var value: UInt64

  public init(_ space: AddressSpace, address: UInt64, size: UInt32, value: UInt64) {
    self.space = space
    self.address = address
    self.size = size
    self.value = value
  }
}

/// Events and writes that need no exit. Any thread.
public protocol ConnectedMachine: VirtualMachine {
  /// KVM_IRQFD; EBUSY for an eventfd that is connected.
  func connect(_ source: InterruptEventSource) throws(KVMError)
  /// KVM_IRQFD with KVM_IRQFD_FLAG_DEASSIGN
  func disconnect(_ source: InterruptEventSource) throws(KVMError)

  /// KVM_IOEVENTFD; EEXIST where another one has the same writes.
  func connect(_ event: WriteEvent) throws(KVMError)
  /// KVM_IOEVENTFD with KVM_IOEVENTFD_FLAG_DEASSIGN; ENOENT where there is none.
  func disconnect(_ event: WriteEvent) throws(KVMError)

  /// KVM_HYPERV_EVENTFD; EEXIST where the connection has one.
  func connect(_ connection: HyperVConnection) throws(KVMError)
  /// KVM_HYPERV_EVENTFD with KVM_HYPERV_EVENTFD_DEASSIGN; ENOENT where it has none.
  func disconnect(_ connection: HyperVConnection) throws(KVMError)

  /// KVM_REGISTER_COALESCED_MMIO
  func coalesce(_ zone: CoalescedZone) throws(KVMError)
  /// Ends all zones within (KVM_UNREGISTER_COALESCED_MMIO).
  func stopCoalescing(_ zone: CoalescedZone) throws(KVMError)

  /// Takes the writes that wait in the ring, in the guest's order.
  func collectCoalescedWrites() throws(KVMError) -> [CoalescedWrite]
}
