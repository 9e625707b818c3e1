/// What the translator does with an instruction.
///
/// Nearly every row of the opcode tables is ``plain``: the host runs the same instruction again.
/// The others are those where the guest's processor state is not the host's.
package enum Operation: UInt8, BitwiseCopyable, CaseIterable {
  /// Re-emitted with registers mapped and the memory operand, if any, translated.
  case plain
  /// Not an instruction, or one that this guest's CPUID does not offer: raises #UD.
  case undefined

  // Control flow
  case jump, jumpConditional, jumpIndirect, jumpCounter  // jumpCounter: LOOPcc and JrCXZ
  case call, callIndirect, returnNear
  case jumpFar, callFar, returnFar  // pointer in the immediate or in memory
  case interrupt, interrupt3, interruptOverflow, interrupt1, interruptReturn
  case systemCall, systemReturn, systemEnter, systemExit

  // Stack
  case push, pop, pushFlags, popFlags, pushAll, popAll, pushSegment, popSegment, enter, leave

  // Strings and ports
  case moveString, compareString, storeString, loadString, scanString, inputString, outputString
  case input, output

  // Data movement that needs more than a translated operand
  case loadAddress  // LEA: no access
  case moveOffset  // A0…A3: absolute address in the instruction
  case translateByte  // XLAT
  case shiftByCount  // shifts, rotates, SHLD and SHRD by CL
  case bitString  // BT, BTS, BTR, BTC with a register bit offset and a memory operand
  case compareExchangeWide  // CMPXCHG8B, CMPXCHG16B
  case maskedMove  // MASKMOVQ, MASKMOVDQU, VMASKMOVDQU: memory at rDI
  case gather  // VSIB addressing
  case compareStringsIndex  // PCMPESTRI, PCMPISTRI and VEX forms: the result is in ECX
  case noOperation  // NOP, hints, prefetches, ENDBR, PAUSE apart
  case pause
  case cacheLineFlush  // CLFLUSH, CLFLUSHOPT, CLWB: checks the address, no effect
  case decimal  // DAA, DAS, AAA, AAS, AAM, AAD, SALC: not in 64-bit mode
  case bound

  // Segments
  case moveFromSegment, moveToSegment, loadFarPointer
  case readSegmentBase, writeSegmentBase  // RDFSBASE and its kind

  // Flags outside the arithmetic ones
  case clearDirection, setDirection, clearInterrupt, setInterrupt, clearAlignment, setAlignment

  // System
  case storeDescriptorTable, loadDescriptorTable  // SGDT SIDT, LGDT LIDT
  case storeLocalSelector, loadLocalSelector  // SLDT STR, LLDT LTR
  case verifySegment, loadAccessRights, loadSegmentLimit  // VERR VERW, LAR, LSL
  case adjustRequestedPrivilege  // ARPL
  case storeMachineStatus, loadMachineStatus, clearTaskSwitched  // SMSW, LMSW, CLTS
  case moveFromControl, moveToControl, moveFromDebug, moveToDebug
  case invalidatePage, invalidateProcessContext, invalidateCaches  // INVLPG, INVPCID, WBINVD INVD
  case readModelSpecific, writeModelSpecific, readTimeStamp, readTimeStampAndProcessor
  case readPerformanceCounter, readProcessorID, identify, swapSegmentBase
  case halt, monitor, monitorWait, hypercall, resumeFromManagement
  case readExtendedControl, writeExtendedControl
  case saveExtended, restoreExtended  // XSAVE, XSAVEC, XSAVEOPT, XSAVES; XRSTOR, XRSTORS
  case saveFloating, restoreFloating  // FXSAVE, FXRSTOR
}
