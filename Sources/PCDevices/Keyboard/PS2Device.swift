/// What a PS/2 keyboard or mouse has ready to send, oldest first; what does not fit is lost.
struct PS2Queue: Sendable {
  private static let size = 64
  private var bytes: [UInt8] = []

  var isEmpty: Bool { bytes.isEmpty }

  mutating func send(_ new: UInt8...) { send(new) }

  mutating func send(_ new: [UInt8]) {
    // A sequence arrives whole or not at all.
    if bytes.count + new.count <= Self.size { bytes += new }
  }

  mutating func next() -> UInt8? { bytes.isEmpty ? nil : bytes.removeFirst() }

  mutating func clear() { bytes = [] }
}

/// A keyboard that answers commands; keys are pressed by the host.
///
/// Reference: IBM PS/2 Hardware Interface Technical Reference, "Keyboard (101/102-key)".
struct PS2Keyboard: Sendable {
  var output = PS2Queue()
  private(set) var isScanning = true
  private var scanCodeSet: UInt8 = 2
  /// The command whose parameter comes next.
  private var pending: UInt8?
  private var last: UInt8 = 0

  private static let acknowledge: UInt8 = 0xfa

  mutating func receive(_ byte: UInt8) {
    if let command = pending, byte < 0xed {
      pending = nil
      takeParameter(byte, of: command)
    } else {
      pending = nil
      takeCommand(byte)
    }
  }

  private mutating func takeParameter(_ byte: UInt8, of command: UInt8) {
    output.send(Self.acknowledge)
    guard command == 0xf0 else { return }
    if byte == 0 { output.send(scanCodeSet) }
    if (1...3).contains(byte) { scanCodeSet = byte }
  }

  private mutating func takeCommand(_ byte: UInt8) {
    switch byte {
    case 0xed, 0xf0, 0xf3, 0xfb, 0xfc, 0xfd:  // LEDs, scan code set, rate, one key's kind
      pending = byte
      output.send(Self.acknowledge)
    case 0xee: output.send(0xee)  // echo
    case 0xf2: output.send(Self.acknowledge, 0xab, 0x83)
    case 0xf4: start()
    case 0xf5:
      (isScanning, scanCodeSet) = (false, 2)
      output.clear()
      output.send(Self.acknowledge)
    case 0xf6: start()
    case 0xf7...0xfa: output.send(Self.acknowledge)  // all keys' kind
    case 0xfe: output.send(last)
    case 0xff:
      self = PS2Keyboard()
      output.send(Self.acknowledge, 0xaa)  // self-test passed
    default: output.send(0xfe)  // resend
    }
    last = Self.acknowledge
  }

  private mutating func start() {
    isScanning = true
    output.clear()
    output.send(Self.acknowledge)
  }
}

/// A three-button mouse that answers commands and is never moved.
///
/// Reference: IBM PS/2 Hardware Interface Technical Reference, "Auxiliary device".
struct PS2Mouse: Sendable {
  var output = PS2Queue()
  private var isReporting = false
  private var isRemote = false
  private var scalesTwice = false
  private var isEchoing = false
  private var resolution: UInt8 = 2
  private var rate: UInt8 = 100
  private var pending: UInt8?

  private static let acknowledge: UInt8 = 0xfa

  mutating func receive(_ byte: UInt8) {
    if isEchoing, byte != 0xff, byte != 0xec {
      output.send(byte)
    } else if let command = pending {
      pending = nil
      output.send(Self.acknowledge)
      if command == 0xe8 { resolution = byte & 3 } else { rate = byte }
    } else {
      takeCommand(byte)
    }
  }

  private static let commands: Set<UInt8> = [
    0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xee, 0xf0, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xff,
  ]

  private mutating func takeCommand(_ byte: UInt8) {
    guard Self.commands.contains(byte) else {
      output.send(0xfe)
      return
    }
    output.send(Self.acknowledge)
    switch byte {
    case 0xe6: scalesTwice = false
    case 0xe7: scalesTwice = true
    case 0xe8, 0xf3: pending = byte
    case 0xe9: output.send([status, resolution, rate])
    case 0xea: isRemote = false
    case 0xeb: output.send(0x08, 0, 0)  // no button, no movement
    case 0xec: isEchoing = false
    case 0xee: isEchoing = true
    case 0xf0: isRemote = true
    case 0xf2: output.send(0)
    case 0xf4: isReporting = true
    case 0xf5: isReporting = false
    case 0xf6: setDefaults()
    case 0xff:
      setDefaults()
      output.send(0xaa, 0)
    default: break
    }
  }

  private var status: UInt8 {
    (isRemote ? 0x40 : 0) | (isReporting ? 0x20 : 0) | (scalesTwice ? 0x10 : 0)
  }

  private mutating func setDefaults() {
    (isReporting, isRemote, scalesTwice, isEchoing) = (false, false, false, false)
    (resolution, rate) = (2, 100)
  }
}
