/// One 8259A interrupt controller.
///
/// Reference: Intel 8259A data sheet.
struct PIC: Sendable {
  /// Requests, those in service, and those masked: a bit for each input.
  var request: UInt8 = 0
  private(set) var inService: UInt8 = 0
  /// As firmware leaves it, so that nothing comes before the guest has set vectors.
  private(set) var mask: UInt8 = 0xff
  /// Levels of the inputs.
  private(set) var lines: UInt8 = 0
  /// Edge/level control register: ones are level-triggered.
  var levelTriggered: UInt8 = 0 {
    // The request of a level-triggered input is its line.
    didSet { request = request & ~levels | lines & levels }
  }
  /// Inputs that a slave drives: level-triggered whatever the register says.
  let cascade: UInt8
  private(set) var vectorBase: UInt8 = 0

  /// The input with the highest priority.
  private var top: UInt8 = 0
  /// Which initialisation word the data port takes next; zero when initialised.
  private var expectedWord = 0
  private var expectsFourthWord = false
  private var isSingle = false
  private var endsAutomatically = false
  private var rotatesAutomatically = false
  private var isSpeciallyMasked = false
  private var isSpeciallyNested = false
  private var readsInService = false
  private var isPolled = false

  init(cascade: UInt8 = 0) { self.cascade = cascade }

  private var levels: UInt8 { levelTriggered | cascade }

  mutating func setLine(_ input: Int, to isAsserted: Bool) {
    let bit: UInt8 = 1 << UInt8(input & 7)
    if isAsserted {
      if levels & bit != 0 || lines & bit == 0 { request |= bit }
      lines |= bit
    } else {
      // A latched edge stays requested; a level goes, and if that was too early the
      // acknowledge cycle finds nothing: a spurious interrupt.
      if levels & bit != 0 { request &= ~bit }
      lines &= ~bit
    }
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
