internal import X86

extension Processor {
  /// Runs one privileged or sensitive instruction, or one whose operands need more than the
  /// translator's fast paths.
  ///
  /// ``CPUState/instructionPointer`` is the instruction's own; the caller advances it by the length
  /// unless the outcome is `.jumped`. A thrown fault leaves the guest as it was before, except that
  /// repeated string instructions keep their progress.
  package func execute(_ instruction: borrowing Instruction) throws(GuestFault) -> Outcome {
    switch instruction.operation {
    case .jumpFar: try jumpFar(instruction)
    case .callFar: try callFar(instruction)
    case .returnFar: try returnFar(instruction)
    case .interrupt: try softwareInterrupt(instruction)
    case .interrupt3: try breakpoint(instruction)
    case .interruptOverflow: try overflow(instruction)
    case .interrupt1: try debugTrap(instruction)
    case .interruptReturn: try interruptReturn(instruction)
    case .systemCall: try systemCall(instruction)
    case .systemReturn: try systemReturn(instruction)
    case .systemEnter: try systemEnter()
    case .systemExit: try systemExit(instruction)

    case .pushFlags: try pushFlags(instruction)
    case .popFlags: try popFlags(instruction)
    case .pushAll: try pushAll(instruction)
    case .popAll: try popAll(instruction)
    case .pop: try popToMemory(instruction)
    case .pushSegment: try pushSegment(instruction)
    case .popSegment: try popSegment(instruction)
    case .enter: try enterFrame(instruction)
    case .bound: try checkBounds(instruction)
    case .decimal: try decimal(instruction)

    case .moveString, .compareString, .storeString, .loadString, .scanString:
      try executeString(instruction)
    case .inputString, .outputString: try portString(instruction)
    case .input: try input(instruction)
    case .output: try output(instruction)

    case .moveFromSegment: try moveFromSegment(instruction)
    case .moveToSegment: try moveToSegment(instruction)
    case .loadFarPointer: try loadFarPointer(instruction)
    case .readSegmentBase: try readSegmentBase(instruction)
    case .writeSegmentBase: try writeSegmentBase(instruction)

    case .clearDirection: setDirection(false)
    case .setDirection: setDirection(true)
    case .clearInterrupt: try clearInterrupt()
    case .setInterrupt: try setInterrupt()
    case .clearAlignment: try setAlignment(false)
    case .setAlignment: try setAlignment(true)

    case .saveExtended: try saveExtended(instruction)
    case .restoreExtended: try restoreExtended(instruction)
    case .saveFloating: try saveLegacy(instruction)
    case .restoreFloating: try restoreLegacy(instruction)
    case .gather: try gather(instruction)

    default: try executeSystem(instruction)
    }
  }

  /// The instructions that an operating system's kernel uses.
  private func executeSystem(
    _ instruction: borrowing Instruction
  ) throws(GuestFault) -> Outcome {
    switch instruction.operation {
    case .storeDescriptorTable: try storeDescriptorTable(instruction)
    case .loadDescriptorTable: try loadDescriptorTable(instruction)
    case .storeLocalSelector: try storeLocalSelector(instruction)
    case .loadLocalSelector: try loadLocalSelector(instruction)
    case .verifySegment: try verifySegment(instruction)
    case .loadAccessRights: try loadAccessRights(instruction)
    case .loadSegmentLimit: try loadSegmentLimit(instruction)
    case .adjustRequestedPrivilege: try adjustRequestedPrivilege(instruction)
    case .storeMachineStatus: try storeMachineStatus(instruction)
    case .loadMachineStatus: try loadMachineStatus(instruction)
    case .clearTaskSwitched: try clearTaskSwitched()
    case .moveFromControl: try moveFromControl(instruction)
    case .moveToControl: try moveToControl(instruction)
    case .moveFromDebug: try moveFromDebug(instruction)
    case .moveToDebug: try moveToDebug(instruction)
    case .invalidatePage: try invalidatePage(instruction)
    case .invalidateProcessContext: try invalidateProcessContext(instruction)
    case .invalidateCaches: try invalidateCaches()
    case .readModelSpecific: try readModelSpecific()
    case .writeModelSpecific: try writeModelSpecific()
    case .readTimeStamp: try readTimeStamp()
    case .readTimeStampAndProcessor: try readTimeStampAndProcessor()
    case .readPerformanceCounter: try readPerformanceCounter()
    case .readProcessorID: try readProcessorID(instruction)
    case .identify: identify()
    case .pause: letOthersRun()
    case .swapSegmentBase: try swapSegmentBase()
    case .halt: try halt()
    case .monitor: try monitor(instruction)
    case .monitorWait: try monitorWait()
    case .readExtendedControl: try readExtendedControl()
    case .writeExtendedControl: try writeExtendedControl()
    case .hypercall: try hypercall(instruction)
    case .resumeFromManagement: try resumeFromManagement()
    // The rest is the translator's.
    default: throw .undefined
    }
  }
}
