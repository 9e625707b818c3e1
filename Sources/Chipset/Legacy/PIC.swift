/// One 8259A interrupt controller.
///
/// Reference: Intel 8259A data sheet.
struct PIC: Sendable {
  /// Requests, those in service, and those masked: a bit for each input.
  var request: UInt8 = 0
  var inService: UInt8 = 0 {
    didSet { ended |= oldValue & ~inService }
  }
  var mask: UInt8 = 0 {
    didSet { unmasked |= oldValue & ~mask }
  }
  /// Inputs whose interrupts have ended, and those unmasked, since the owner last asked.
  var ended: UInt8 = 0
  var unmasked: UInt8 = 0
  /// Levels of the inputs.
  var lines: UInt8 = 0
  /// Edge/level control register: ones are level-triggered.
  var levelTriggered: UInt8 = 0 {
    // The request of a level-triggered input is its line.
    didSet { request = request & ~levels | lines & levels }
  }
  /// Inputs that a slave drives: level-triggered whatever the register says.
  let cascade: UInt8
  var vectorBase: UInt8 = 0

  /// The input with the highest priority.
  var top: UInt8 = 0
  /// Which initialisation word the data port takes next; zero when initialised.
  var expectedWord: UInt8 = 0
  var expectsFourthWord = false
  private var isSingle = false
  var endsAutomatically = false
  var rotatesAutomatically = false
  var isSpeciallyMasked = false
  var isSpeciallyNested = false
  var readsInService = false
  var isPolled = false

  init(cascade: UInt8 = 0) { self.cascade = cascade }

  private var levels: UInt8 { levelTriggered | cascade }

  /// Drives an input; returns -1 when it is masked, 0 when it asks for what is asked already.
  @discardableResult
  mutating func setLine(_ input: Int, to isAsserted: Bool) -> Int {
    let bit: UInt8 = 1 << UInt8(input & 7)
    let isNew = !isAsserted || request & bit == 0 || levels & bit == 0 && lines & bit != 0
    if isAsserted {
      if levels & bit != 0 || lines & bit == 0 { request |= bit }
      lines |= bit
    } else {
      // A latched edge stays requested; a level goes, and if that was too early the
      // acknowledge cycle finds nothing: a spurious interrupt.
      if levels & bit != 0 { request &= ~bit }
      lines &= ~bit
    }
    return mask & bit != 0 ? -1 : isNew ? 1 : 0
  }

  /// The input whose interrupt the processor would get now.
  var pending: Int? {
    guard let candidate = highest(request & ~mask) else { return nil }
    var blocking = inService
    if isSpeciallyMasked { blocking &= ~mask }
    if isSpeciallyNested { blocking &= ~cascade }
    if let serving = highest(blocking), rank(serving) <= rank(candidate) { return nil }
    return candidate
  }

  /// The acknowledge cycle for `input`.
  mutating func acknowledge(_ input: Int) {
    let bit: UInt8 = 1 << UInt8(input)
    if levels & bit == 0 { request &= ~bit }
    if endsAutomatically {
      ended |= bit
      if rotatesAutomatically { top = UInt8((input + 1) & 7) }
    } else {
      inService |= bit
    }
  }

  private func rank(_ input: Int) -> Int { (input - Int(top)) & 7 }

  /// The input with the highest priority among `inputs`.
  private func highest(_ inputs: UInt8) -> Int? {
    guard inputs != 0 else { return nil }
    let rotated = inputs &>> top | inputs &<< (8 &- top)
    return (rotated.trailingZeroBitCount + Int(top)) & 7
  }

  // MARK: Registers

  mutating func read(isData: Bool) -> UInt8 {
    if isPolled {
      isPolled = false
      guard let input = pending else { return 0 }
      acknowledge(input)
      return 0x80 | UInt8(input)
    }
    if isData { return mask }
    return readsInService ? inService : request
  }

  mutating func write(_ value: UInt8, isData: Bool) {
    if isData {
      writeData(value)
    } else if value & 0x10 != 0 {
      beginInitialisation(value)
    } else if value & 0x08 != 0 {
      writeThirdCommand(value)
    } else {
      writeSecondCommand(value)
    }
  }

  /// ICW1.
  private mutating func beginInitialisation(_ value: UInt8) {
    mask = 0
    inService = 0
    ended |= request & ~levels
    request &= levels
    top = 0
    (isSpeciallyMasked, readsInService, isPolled, rotatesAutomatically) =
      (false, false, false, false)
    expectsFourthWord = value & 1 != 0
    isSingle = value & 2 != 0
    if !expectsFourthWord { (isSpeciallyNested, endsAutomatically) = (false, false) }
    expectedWord = 2
  }

  private mutating func writeData(_ value: UInt8) {
    switch expectedWord {
    case 2:
      vectorBase = value & 0xf8
      expectedWord = isSingle ? (expectsFourthWord ? 4 : 0) : 3
    case 3:
      // The wiring of the cascade cannot be changed.
      expectedWord = expectsFourthWord ? 4 : 0
    case 4:
      isSpeciallyNested = value & 0x10 != 0
      endsAutomatically = value & 0x02 != 0
      expectedWord = 0
    default: mask = value
    }
  }

  /// OCW2: ends of interrupts and rotation of priorities.
  private mutating func writeSecondCommand(_ value: UInt8) {
    let input = Int(value & 7)
    switch value >> 5 {
    case 0b000, 0b100: rotatesAutomatically = value & 0x80 != 0
    case 0b001, 0b101:
      let ending = isSpeciallyMasked ? highest(inService & ~mask) : highest(inService)
      guard let ending else { return }
      inService &= ~(1 << UInt8(ending))
      if value & 0x80 != 0 { top = UInt8((ending + 1) & 7) }
    case 0b011, 0b111:
      inService &= ~(1 << UInt8(input))
      if value & 0x80 != 0 { top = UInt8((input + 1) & 7) }
    case 0b110: top = UInt8((input + 1) & 7)
    default: break
    }
  }

  /// OCW3: which register reads show, polling, the special mask.
  private mutating func writeThirdCommand(_ value: UInt8) {
    if value & 0x02 != 0 { readsInService = value & 1 != 0 }
    if value & 0x04 != 0 { isPolled = true }
    if value & 0x40 != 0 { isSpeciallyMasked = value & 0x20 != 0 }
  }
}
