/// The machine around one processor, as the engine sees it: buses, interrupt controller, clock.
///
/// Called on the processor's own thread. Values are little-endian in the low bytes.
public protocol ProcessorEnvironment: AnyObject {
  /// Reads 1, 2 or 4 bytes from a port.
  func readPort(_ port: UInt16, size: Int) -> UInt32
  /// Reads as many elements of `size` bytes as the buffer takes, for a string instruction.
  func readPort(_ port: UInt16, size: Int, into elements: UnsafeMutableRawBufferPointer)
  func writePort(_ port: UInt16, value: UInt32, size: Int)

  /// Reads 1 to 8 bytes at a guest-physical address that is not RAM.
  func readMemory(_ address: UInt64, size: Int) -> UInt64
  func writeMemory(_ address: UInt64, value: UInt64, size: Int)

  /// A model-specific register that the engine does not keep; `nil` raises #GP.
  func readModelSpecific(_ number: UInt32) -> UInt64?
  /// Returns whether the register takes the value; `false` raises #GP.
  func writeModelSpecific(_ number: UInt32, value: UInt64) -> Bool

  /// RDMSR by the guest: `read`'s answer, unless the machine has another.
  func readForGuest(_ number: UInt32, _ read: () -> UInt64?) -> UInt64?
  /// WRMSR by the guest: `write`'s answer, unless the machine has another.
  func writeForGuest(_ number: UInt32, _ value: UInt64, _ write: () -> Bool) -> Bool

  /// What CPUID answers.
  func identify(leaf: UInt32, subleaf: UInt32) -> CPUIDResult

  /// The task priority in CR8, 0 to 15.
  var taskPriority: UInt8 { get set }

  /// The vector of the interrupt to take now, acknowledged at its controller; `nil` when none.
  func acknowledgeInterrupt() -> UInt8?

  /// Whether the engine shall return to its caller at the next block boundary; asked when the
  /// processor's attention is called.
  var wantsToStop: Bool { get }

  /// Takes a pending non-maskable interrupt, unless these are blocked.
  func takeNonMaskable(isBlocked: Bool) -> Bool

  /// Takes a pending system-management interrupt; asked where one may be taken.
  func takeSystemManagement() -> Bool

  /// The guest has written its time-stamp counter.
  func timeStampChanged()

  /// The guest is about to write to a page of a slot that keeps a log, for the first time since the
  /// page was last forgotten.
  func wasWritten(_ page: WrittenPage)

  /// Whether code of any privilege where no memory is ends the run.
  var stopsAtUnreachableCode: Bool { get }

  /// Whether MONITOR and MWAIT are instructions.
  var offersMonitor: Bool { get }
  /// Whether VMCALL is taken for VMMCALL, and replaced by it.
  var mendsHypercalls: Bool { get }

  /// What a hypercall (VMCALL, VMMCALL) leaves in RAX; `nil` where the machine takes none, which
  /// raises #UD.
  func hypercall(_ call: Hypercall) -> UInt64?
}

extension ProcessorEnvironment {
  public var wantsToStop: Bool { false }
  public func takeNonMaskable(isBlocked: Bool) -> Bool { false }
  public func takeSystemManagement() -> Bool { false }
  public func timeStampChanged() {}
  public func wasWritten(_ page: WrittenPage) {}

  public func readPort(_ port: UInt16, size: Int, into elements: UnsafeMutableRawBufferPointer) {
    unsafe readPortSingly(port, size: size, into: elements)
  }

  /// Reads an element after another.
  public func readPortSingly(
    _ port: UInt16, size: Int, into elements: UnsafeMutableRawBufferPointer
  ) {
    for offset in stride(from: 0, to: elements.count, by: size) {
      let value = readPort(port, size: size)
      unsafe withUnsafeBytes(of: value) { bytes in
        let end = unsafe UnsafeMutableRawBufferPointer(rebasing: elements[offset...])
        unsafe end.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
      }
    }
  }

  public func readForGuest(_ number: UInt32, _ read: () -> UInt64?) -> UInt64? { read() }
  public func writeForGuest(_ number: UInt32, _ value: UInt64, _ write: () -> Bool) -> Bool {
    write()
  }
  public var stopsAtUnreachableCode: Bool { false }
  public var offersMonitor: Bool { identify(leaf: 1, subleaf: 0).ecx >> 3 & 1 != 0 }
  public var mendsHypercalls: Bool { true }
  public func hypercall(_ call: Hypercall) -> UInt64? { nil }
}

/// A guest's call to the machine, as KVM's guests make them.
public struct Hypercall: BitwiseCopyable, Sendable {
  /// RAX.
  public var number: UInt64
  /// RBX, RCX, RDX and RSI.
  public var arguments: InlineArray<4, UInt64>
  /// Who calls: 0 to 3.
  public var privilege: UInt8
}

/// What CPUID leaves in the four registers.
public struct CPUIDResult: Hashable, Sendable, BitwiseCopyable {
  public var eax: UInt32
  public var ebx: UInt32
  public var ecx: UInt32
  public var edx: UInt32
  public init(eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
    (self.eax, self.ebx, self.ecx, self.edx) = (eax, ebx, ecx, edx)
  }
}
