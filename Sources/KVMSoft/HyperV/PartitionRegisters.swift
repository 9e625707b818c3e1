import KVM

/// The model-specific registers that a partition has once.
struct PartitionRegisters {
  /// Which system the guest is; not zero once it wants to make calls.
  private(set) var guestIdentity: UInt64 = 0
  private var hypercallPage: UInt64 = 0
  var time = ReferenceTime()
  private var crashParameters = FixedArray<5, UInt64>(repeating: 0)
  private var crashControl: UInt64 = 0
  private var reenlightenment: UInt64 = 0
  private(set) var emulationControl: UInt64 = 0
  private var emulationStatus: UInt64 = 0
  var debugger = SyntheticDebugger()

  /// That the guest tells of its crash.
  private static let crashNotice: UInt64 = 1 << 63

  /// `nil` for a register that is not here.
  func read(_ number: UInt32) -> UInt64? {
    switch number {
    case HyperVRegister.guestIdentity: guestIdentity
    case HyperVRegister.hypercallPage: hypercallPage
    case HyperVRegister.referencePage: time.register
    case HyperVRegister.crashParameters:
      crashParameters[Int(number - HyperVRegister.crashParameters.lowerBound)]
    case HyperVRegister.crashControl: crashControl
    case HyperVRegister.reset: 0
    case HyperVRegister.reenlightenment: reenlightenment
    case HyperVRegister.emulationControl: emulationControl
    case HyperVRegister.emulationStatus: emulationStatus
    default: debugger.read(number)
    }
  }

  /// `nil` for a register that is not here.
  mutating func write(_ number: UInt32, _ value: UInt64, byHost: Bool) -> RegisterEffect? {
    switch number {
    case HyperVRegister.guestIdentity:
      guestIdentity = value
      if value == 0 { hypercallPage &= ~1 }
    case HyperVRegister.hypercallPage: return setHypercallPage(value)
    case HyperVRegister.referencePage:
      time.set(value, byHost: byHost)
      return .showsTime
    case HyperVRegister.crashParameters:
      crashParameters[Int(number - HyperVRegister.crashParameters.lowerBound)] = value
    case HyperVRegister.crashControl:
      if byHost { crashControl = value & Self.crashNotice }
      if !byHost, value & Self.crashNotice != 0 { return .exit(.stopped(.systemEvent(.crash))) }
    case HyperVRegister.reset:
      if value == 1 { return .exit(.stopped(.systemEvent(.reset))) }
    case HyperVRegister.reenlightenment: reenlightenment = value
    case HyperVRegister.emulationControl: emulationControl = value
    case HyperVRegister.emulationStatus:
      guard byHost || value == 0 else { return .refused }
      emulationStatus = value
    case HyperVRegister.referenceTime: return byHost ? .done : .refused
    default: return debugger.write(number, value, byHost: byHost)
    }
    return .done
  }

  /// The page stays off until the guest has said what it is.
  private mutating func setHypercallPage(_ value: UInt64) -> RegisterEffect {
    guard guestIdentity != 0 else { return .done }
    hypercallPage = value
    return value & 1 == 0 ? .done : .writesCalls(at: value & ~0xfff)
  }
}

/// What a write to a register asks the processor to do.
enum RegisterEffect {
  case done
  /// #GP.
  case refused
  /// The page of the time is to be filled in.
  case showsTime
  /// Instructions that make a call are to be written there.
  case writesCalls(at: UInt64)
  /// The run ends after the instruction.
  case exit(Exit)
}

/// The registers of the synthetic debugger, whose work the client does.
struct SyntheticDebugger {
  private var control: UInt64 = 0
  var status: UInt64 = 0
  private var sendPage: UInt64 = 0
  private var receivePage: UInt64 = 0
  private var pendingPage: UInt64 = 0
  private var options: UInt64 = 0

  /// Whether the guest debugs with calls, not registers.
  var usesCalls: Bool { options & 1 << 2 != 0 }

  func read(_ number: UInt32) -> UInt64? {
    switch number {
    case HyperVRegister.debuggerControl: control
    case HyperVRegister.debuggerStatus: status
    case HyperVRegister.debuggerSendPage: sendPage
    case HyperVRegister.debuggerReceivePage: receivePage
    case HyperVRegister.debuggerPendingPage: pendingPage
    case HyperVRegister.debuggerOptions: options
    default: nil
    }
  }

  mutating func write(_ number: UInt32, _ value: UInt64, byHost: Bool) -> RegisterEffect? {
    switch number {
    case HyperVRegister.debuggerControl: control = value
    case HyperVRegister.debuggerStatus: status = value
    case HyperVRegister.debuggerSendPage: sendPage = value
    case HyperVRegister.debuggerReceivePage: receivePage = value
    case HyperVRegister.debuggerPendingPage: pendingPage = value
    case HyperVRegister.debuggerOptions: options = value
    default: return nil
    }
    let isRequest =
      number == HyperVRegister.debuggerControl || number == HyperVRegister.debuggerPendingPage
    guard isRequest, !byHost else { return .done }
    return .exit(
      .hyperV(
        .debugger(register: number, [control, status, sendPage, receivePage, pendingPage])))
  }
}
