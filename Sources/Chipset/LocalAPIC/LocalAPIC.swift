/// What the rest of the machine must do after a local APIC's register was written.
public enum APICAction: Hashable, Sendable {
  case none
  /// Send an interrupt to other processors, or this one.
  case send(InterruptMessage)
  /// Tell the IOAPICs that an interrupt with this vector has been served.
  case endOfInterrupt(UInt8, isLevel: Bool)
  /// An interrupt of the local vector table that does not go through the request register.
  case local(ProcessorEvent)
}

/// A local APIC, xAPIC and x2APIC, as a state machine: no locks, no clock, no callbacks.
///
/// Time comes as monotonic nanoseconds; the timer counts at 1 GHz, and its TSC-deadline mode
/// converts with the rate given. Registers are kept as KVM saves them: one 32-bit word for each
/// 16 bytes of the page. Reference: SDM vol. 3A, chapter 11.
public struct LocalAPIC: Sendable {
  /// Register words by offset / 16.
  var words: [64 of UInt32] = .init(repeating: 0)
  var timer = APICTimer()
  /// Errors seen since the error status register was last written.
  var errors: UInt32 = 0

  /// The APIC's number, from power-on.
  public let identifier: UInt32
  /// IA32_APIC_BASE.
  public internal(set) var base: UInt64
  let isBootProcessor: Bool
  /// Whether CPUID says that x2APIC mode exists.
  public var offersX2APIC: Bool { didSet { setVersion() } }
  /// Whether the IOAPICs outside can be told of ends directly, so that broadcasts of them can be
  /// suppressed (bit 24 of the version).
  var isEndDirected = false { didSet { setVersion() } }
  /// Whether corrected machine checks raise interrupts, by an entry of the vector table.
  var hasCorrectedCheck = false {
    didSet {
      setVersion()
      if !oldValue, hasCorrectedCheck { self[.correctedCheck] = LocalVector.masked }
    }
  }
  /// Vectors whose ends the processor is told of, and those that end as they are taken.
  var reported = VectorSet()
  var endedAtOnce = VectorSet()

  /// - Parameters:
  ///   - identifier: the initial APIC ID.
  ///   - offersX2APIC: whether CPUID says that x2APIC mode exists.
  public init(identifier: UInt32, isBootProcessor: Bool, offersX2APIC: Bool) {
    self.identifier = identifier
    self.isBootProcessor = isBootProcessor
    self.offersX2APIC = offersX2APIC
    base = 0xfee0_0000 | APICBase.enabled | (isBootProcessor ? APICBase.bootProcessor : 0)
    reset()
  }

  /// The state after INIT: as after power-on, but the mode and the base address stay.
  public mutating func reset() {
    words = .init(repeating: 0)
    timer = APICTimer()
    errors = 0
    setVersion()
    self[.destinationFormat] = 0xffff_ffff
    self[.spuriousVector] = 0xff
    for index in APICRegister.vectorTable.indices {
      self[APICRegister.vectorTable[index]] = LocalVector.masked
    }
    if hasCorrectedCheck { self[.correctedCheck] = LocalVector.masked }
    // Without firmware nobody else connects the 8259 to the boot processor (KVM does the same).
    if isBootProcessor { self[.local0] = UInt32(DeliveryMode.external.rawValue) << 8 }
    setIdentifier()
  }

  static let canSuppressEnds: UInt32 = 1 << 24

  mutating func setVersion() {
    // The number of the vector table's last entry.
    let last: UInt32 = hasCorrectedCheck ? 6 : 5
    self[.version] = last << 16 | 0x14 | (isEndDirected && offersX2APIC ? Self.canSuppressEnds : 0)
  }

  /// Whether the APIC is not switched off in IA32_APIC_BASE.
  public var isPresent: Bool { base & APICBase.enabled != 0 }

  public var isX2APIC: Bool { base & APICBase.extended != 0 }

  /// Whether it takes interrupts: present and enabled in the spurious-vector register.
  public var isEnabled: Bool { isPresent && self[.spuriousVector] & 0x100 != 0 }

  /// Where its page is; `nil` when it has none.
  public var page: UInt64? {
    isPresent && !isX2APIC ? base & 0x000f_ffff_ffff_f000 : nil
  }

  subscript(register: APICRegister) -> UInt32 {
    get { words[Int(register.rawValue >> 4)] }
    set { words[Int(register.rawValue >> 4)] = newValue }
  }

  /// Writes the ID and the x2APIC's logical ID as the mode in force shows them.
  mutating func setIdentifier() {
    if isX2APIC {
      self[.identifier] = identifier
      self[.logicalDestination] = (identifier >> 4) << 16 | 1 << (identifier & 15)
    } else {
      self[.identifier] = identifier << 24
    }
  }
}

/// Bits of IA32_APIC_BASE. Reference: SDM vol. 3A, section 11.4.4.
enum APICBase {
  static let bootProcessor: UInt64 = 1 << 8
  static let extended: UInt64 = 1 << 10
  static let enabled: UInt64 = 1 << 11
  static let reserved: UInt64 = 0xfff0_0000_0000_02ff
}

/// Bits of the spurious-interrupt vector register.
enum SpuriousVector {
  /// Ends of level-triggered interrupts are not broadcast to IOAPICs.
  static let suppressesEnds: UInt32 = 1 << 12
}

/// Bits of a local vector table entry.
enum LocalVector {
  static let masked: UInt32 = 1 << 16
}

/// Something a processor has to attend to.
public enum ProcessorEvent: Hashable, Sendable, BitwiseCopyable {
  /// There may be an interrupt to acknowledge.
  case interrupt
  case nonMaskable
  case systemManagement
  /// INIT: reset, and wait for `startup`.
  case initialize
  /// SIPI: start in real mode at `vector` * 4096.
  case startup(vector: UInt8)
  /// The processor ended a level-triggered interrupt of an IOAPIC outside.
  case endOfInterrupt(vector: UInt8)
  /// The processor ended an interrupt whose ends it wants to know of.
  case endOfSynthetic(vector: UInt8)
}
