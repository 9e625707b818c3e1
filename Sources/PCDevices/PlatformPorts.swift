/// Where the platform's devices are; the ACPI tables say the same.
public enum PlatformPorts {
  public static let com1: Range<UInt64> = 0x3f8..<0x400
  public static let com2: Range<UInt64> = 0x2f8..<0x300
  public static let com3: Range<UInt64> = 0x3e8..<0x3f0
  public static let com4: Range<UInt64> = 0x2e8..<0x2f0
  public static let keyboardData: UInt64 = 0x60
  public static let keyboardCommand: UInt64 = 0x64
  public static let realTimeClock: Range<UInt64> = 0x70..<0x74
  public static let postCode: UInt64 = 0x80
  public static let systemControlA: UInt64 = 0x92
  public static let managementCommand: Range<UInt64> = 0xb2..<0xb4
  public static let debugConsole: UInt64 = 0x402
  /// PM1a event block (4 bytes), control block (2 bytes), timer (4 bytes).
  public static let powerEvent: UInt64 = 0x600
  public static let powerControl: UInt64 = 0x604
  public static let powerTimer: UInt64 = 0x608
  public static let power: Range<UInt64> = 0x600..<0x610
  /// PCI's configuration address, whose second byte on its own is the reset register.
  public static let configurationAddress: Range<UInt64> = 0xcf8..<0xcfc
  public static let reset: UInt64 = 0xcf9

  /// What the command port takes to hand the power management over to ACPI, and back.
  public static let enableACPI: UInt8 = 0xa0
  public static let disableACPI: UInt8 = 0xa1
  /// What the reset register takes to reset the machine.
  public static let resetValue: UInt8 = 0x06
  /// The SLP_TYP value of power-off.
  public static let sleepS5: UInt16 = 5
}

/// The lines the platform's devices drive, as global system interrupts.
public enum PlatformInterrupts {
  public static let keyboard = 1
  public static let com2 = 3
  public static let com1 = 4
  public static let realTimeClock = 8
  /// The ACPI interrupt: level-triggered.
  public static let systemControl = 9
  public static let mouse = 12
}
