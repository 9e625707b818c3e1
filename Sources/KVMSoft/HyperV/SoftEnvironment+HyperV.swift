import Chipset
import DeviceModel
import Engine
import Host
import KVM

/// Hyper-V's model-specific registers, as the processor's thread reads and writes them.
extension SoftEnvironment {
  /// Whether the guest's own instructions may use a register, if it is Hyper-V's.
  func offersHyperV(_ number: UInt32) -> Bool {
    guard HyperVRegister.all.contains(number) else { return true }
    return hyperV.features.offers(register: number)
      && (hyperV.isActive || !HyperVRegister.isOfSynic(number))
  }

  func readHyperV(_ number: UInt32) -> UInt64? {
    switch number {
    case HyperVRegister.referenceTime: referenceTime
    case HyperVRegister.processorIndex: UInt64(hyperV.target.index)
    case HyperVRegister.runTime: HostThread.processorNanoseconds / 100 &+ hyperV.runTimeOffset
    case HyperVRegister.counterFrequency: clock.kilohertz * 1000
    case HyperVRegister.timerFrequency: 1_000_000_000
    case HyperVRegister.assistPage: hyperV.assistPage
    case HyperVRegister.interruptCommand: readLocal(0x300)
    case HyperVRegister.taskPriority: readLocal(0x80)
    default: partition.read(number) ?? readSynthetic(number)
    }
  }

  func writeHyperV(_ number: UInt32, _ value: UInt64) -> Bool {
    switch number {
    case HyperVRegister.processorIndex: return setProcessorIndex(value)
    case HyperVRegister.runTime:
      guard isHostWriting else { return false }
      hyperV.runTimeOffset = value &- HostThread.processorNanoseconds / 100
      return true
    // To be read only; what a client saved it may give back.
    case HyperVRegister.counterFrequency, HyperVRegister.timerFrequency: return isHostWriting
    case HyperVRegister.assistPage: return setAssistPage(value)
    case HyperVRegister.endOfInterrupt: return writeLocal(0xb0, value)
    case HyperVRegister.interruptCommand: return writeLocal(0x300, value)
    case HyperVRegister.taskPriority: return writeLocal(0x80, value)
    default: break
    }
    guard let effect = partition.write(number, value, byHost: isHostWriting) else {
      return writeSynthetic(number, value)
    }
    return perform(effect)
  }

  private func perform(_ effect: RegisterEffect) -> Bool {
    switch effect {
    case .done: break
    case .refused: return false
    case .showsTime: publishReferenceTime()
    case .writesCalls(let address):
      // VMMCALL, RET.
      return (try? memory.store(UInt32(0xc3d9_010f), at: address)) != nil
    case .exit(let exit):
      guard let status = relay?.leave(exit, value: 0) else { break }
      if case .hyperV(.debugger(HyperVRegister.debuggerControl, _)) = exit {
        partition.setDebuggerStatus(status)
      }
    }
    return true
  }

  private func setProcessorIndex(_ value: UInt64) -> Bool {
    let index = UInt32(truncatingIfNeeded: value)
    guard isHostWriting, index < UInt32(SoftMachine.processorLimit) else { return false }
    hyperV.target.index = index
    return true
  }

  private func setAssistPage(_ value: UInt64) -> Bool {
    if value & 1 != 0 {
      // The word about ends of interrupts; the rest may be of use to whoever moves the guest.
      guard (try? memory.store(UInt32(0), at: value & ~0xfff)) != nil else { return false }
    }
    hyperV.assistPage = value
    return true
  }

  // MARK: The local APIC's registers

  /// Reads one at an offset in its page, whatever the mode it is in.
  private func readLocal(_ offset: UInt64) -> UInt64? {
    guard let chips else { return nil }
    return localPage == nil
      ? chips.controller.readModelSpecific(0x800 + UInt32(offset >> 4), processor: index)
      : chips.controller.readLocal(offset, width: .double, processor: index)
  }

  private func writeLocal(_ offset: UInt64, _ value: UInt64) -> Bool {
    guard let chips else { return false }
    guard localPage != nil else {
      return writeLocalAPIC(0x800 + UInt32(offset >> 4), value)
    }
    let isCommand = offset == 0x300
    guard isCommand || value >> 32 == 0 else { return false }
    if isCommand {
      chips.controller.writeLocal(value >> 32, to: 0x310, width: .double, processor: index)
    }
    chips.controller.writeLocal(
      value & 0xffff_ffff, to: offset, width: .double, processor: index)
    return true
  }

  // MARK: Time

  private var moment: ReferenceTime.Moment {
    ReferenceTime.Moment(
      timeStamp: processor?.timeStamp ?? 0, kilohertz: clock.kilohertz,
      nanoseconds: clock.timeline.nanoseconds)
  }

  var referenceTime: UInt64 { partition.time(at: moment) }

  /// Fills in the page of the time, if it is new or out of date.
  func publishReferenceTime() {
    partition.publishTime(
      at: moment, in: memory, generation: clock.timeline.generation)
  }
}
