package import X86

/// The guest processor's registers and everything translated code reaches through the GS base.
///
/// Plain data at a fixed address; emitted code finds each field by `MemoryLayout.offset(of:)`.
/// While translated code runs, general registers and arithmetic flags are in the host's own, and
/// these copies are stale; every helper call writes them here first (see `Thunks`).
package struct CPUState: BitwiseCopyable {
  /// General registers in encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8…R15.
  package var registers: InlineArray<16, UInt64> = .init(repeating: 0)
  /// Linear address of the page that the running block is in.
  package var codePage: UInt64 = 0
  /// Not zero: something wants the processor's attention before the next block.
  package var attention: UInt32 = 0
  /// Arithmetic flags as LAHF leaves them in AH (high byte), with overflow as 0 or 1 in the low.
  package var savedFlags: UInt16 = 0x0200
  /// Current privilege level, 0 to 3.
  package var privilege: UInt8 = 0
  /// An ``InterruptShadow``; not zero: the next instruction boundary takes no interrupt.
  package var interruptShadow: UInt8 = 0
  /// Not zero: what the engine derives from the segment registers is out of date.
  var segmentsChanged: UInt8 = 1
  /// Address of the current instruction; see `Processor.execute` for what it means during a helper.
  package var instructionPointer: UInt64 = 0
  /// RFLAGS without the six arithmetic flags; DF and IF included.
  package var systemFlags: UInt64 = 2

  /// By ``SegmentName``: ES CS SS DS FS GS LDTR TR. Written through the subscript only.
  package private(set) var segments: InlineArray<8, SegmentRegister> = .init(
    repeating: SegmentRegister(base: 0, limit: 0, selector: 0, attributes: .init()))
  package var globalTable = DescriptorTable(base: 0, limit: 0xffff)
  package var interruptTable = DescriptorTable(base: 0, limit: 0xffff)

  package var cr0 = CR0(rawValue: 0x6000_0010)
  package var cr2: UInt64 = 0
  package var cr3: UInt64 = 0
  package var cr4 = CR4()
  package var efer = EFER()
  package var xcr0: UInt64 = 1
  package var debugRegisters: InlineArray<8, UInt64> = [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400]

  // Model-specific registers that the processor itself uses; the rest belong to the environment.
  package var star: UInt64 = 0
  package var longStar: UInt64 = 0
  package var compatibilityStar: UInt64 = 0
  package var systemCallMask: UInt64 = 0
  package var kernelGSBase: UInt64 = 0
  package var sysenterCS: UInt64 = 0
  package var sysenterESP: UInt64 = 0
  package var sysenterEIP: UInt64 = 0
  package var timeStampAux: UInt64 = 0
  /// Added to the host's counter for what the guest reads.
  package var timeStampOffset: UInt64 = 0
  package var pageAttributes: UInt64 = 0x0007_0406_0007_0406
  package var extendedSupervisorState: UInt64 = 0  // IA32_XSS

  /// Set while NMIs are blocked, until IRET.
  package var nmiBlocked: UInt8 = 0
  /// Set by HLT until an interrupt arrives.
  package var halted: UInt8 = 0
  /// 1 in system-management mode, else 0.
  package var inManagement: UInt8 = 0
  /// Set in system-management mode where NMIs were blocked before.
  package var managementHeldNMI: UInt8 = 0
  /// SMBASE: where the handler is, less 32 KiB, and the state that it finds.
  package var managementBase: UInt64 = 0x3_0000

  /// The four page-directory pointers that PAE paging without long mode keeps since CR3's load.
  package var pageDirectoryPointers: InlineArray<4, UInt64> = .init(repeating: 0)

  package init() {}
}

extension CPUState {
  /// The whole RFLAGS register.
  package var flags: RFLAGS {
    get {
      let high = UInt64(savedFlags >> 8) & 0xd5
      return RFLAGS(rawValue: systemFlags | high | (UInt64(savedFlags & 1) << 11))
    }
    set {
      systemFlags = (newValue.rawValue & ~RFLAGS.arithmetic.rawValue) | 2
      let low = UInt16(truncatingIfNeeded: newValue.rawValue & 0xd5) | 2
      savedFlags = low << 8 | (newValue.contains(.overflow) ? 1 : 0)
    }
  }

  package subscript(segment: SegmentName) -> SegmentRegister {
    get { segments[Int(segment.rawValue)] }
    set {
      segments[Int(segment.rawValue)] = newValue
      segmentsChanged = 1
    }
  }

  /// Whether CS is a 64-bit code segment in long mode.
  package var is64Bit: Bool {
    efer.contains(.longModeActive) && self[.cs].attributes[.long]
  }
}
