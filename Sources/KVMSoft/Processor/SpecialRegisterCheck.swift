import Engine
import Glibc
import KVM
import X86

extension SoftCPU {
  /// EINVAL for special registers that KVM refuses.
  func check(_ values: SpecialRegisters) throws(KVMError) {
    guard hasConsistentMode(values), isValid(values.cr0), values.cr4.isSubset(of: offeredCR4),
      isValid(apicBase: values.apicBase)
    else { throw .refused(call: "KVM_SET_SREGS", errno: EINVAL) }
  }

  /// Long mode has all its parts, and nothing else has any of it but EFER.LME.
  private func hasConsistentMode(_ values: SpecialRegisters) -> Bool {
    guard values.efer.contains(.longModeEnable), values.cr0.contains(.paging) else {
      return !values.efer.contains(.longModeActive) && !values.cs.attributes[.long]
    }
    return values.cr4.contains(.physicalAddressExtension)
      && values.efer.contains(.longModeActive)
      && values.cr3 >> UInt64(Processor.physicalAddressBits) == 0
  }

  private func isValid(_ value: CR0) -> Bool {
    value.rawValue >> 32 == 0
      && (!value.contains(.notWriteThrough) || value.contains(.cacheDisable))
      && (!value.contains(.paging) || value.contains(.protection))
  }

  /// What every processor has, and what CPUID says.
  private var offeredCR4: CR4 {
    var offered: CR4 = [
      .virtual8086, .protectedVirtualInterrupts, .timeStampDisable, .debuggingExtensions,
      .pageSizeExtensions, .physicalAddressExtension, .machineCheck, .globalPages,
      .performanceCounters, .fxsr, .simdExceptions,
    ]
    let identity = environment.identityOrAll
    let (basic, more) = (identity[1, 0], identity[7, 0])
    if basic.ecx >> 17 & 1 != 0 { offered.insert(.processContextIDs) }
    if basic.ecx >> 26 & 1 != 0 { offered.insert(.xsave) }
    if more.ebx & 1 != 0 { offered.insert(.fsgsbase) }
    if more.ebx >> 7 & 1 != 0 { offered.insert(.supervisorExecutionPrevention) }
    if more.ebx >> 20 & 1 != 0 { offered.insert(.supervisorAccessPrevention) }
    if more.ecx >> 2 & 1 != 0 { offered.insert(.userModeInstructionPrevention) }
    return offered
  }

  /// Reserved bits are clear, and the x2APIC is on only where the APIC is.
  private func isValid(apicBase value: UInt64) -> Bool {
    let (enabled, extended): (UInt64, UInt64) = (1 << 11, 1 << 10)
    var reserved: UInt64 = 0x2ff | ~((1 << UInt64(environment.addressBits)) - 1)
    if environment.identityOrAll[1, 0].ecx >> 21 & 1 == 0 { reserved |= extended }
    return value & reserved == 0 && (value & extended == 0 || value & enabled != 0)
  }
}

extension SoftEnvironment {
  /// How many bits CPUID says that physical addresses have.
  var addressBits: UInt32 {
    min(identityOrAll[0x8000_0008, 0].eax & 0xff, UInt32(Processor.physicalAddressBits))
  }

  /// What CPUID answers; before that has been set, all that there is.
  var identityOrAll: CPUIDTable { identity.isEmpty ? Self.everything : identity }

  private static let everything = CPUIDTable(CPUIDLeaves.all())
}
