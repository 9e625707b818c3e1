/// A wire to the interrupt controller.
///
/// Never calls back into a device: it may be driven with the device's lock held.
public protocol InterruptLine: Sendable {
  /// Drives the line; driving the same level again is harmless.
  func set(_ isAsserted: Bool)
}

extension InterruptLine {
  /// Raises and drops the line: one interrupt of an edge-triggered input.
  public func pulse() {
    set(true)
    set(false)
  }
}

/// A wire that ends nowhere.
public struct UnconnectedLine: InterruptLine {
  public init() {}
  public func set(_ isAsserted: Bool) {}
}

/// A line's end inside a device; passes on changes only.
public struct LineOutput: Sendable {
  private let line: any InterruptLine
  public private(set) var isAsserted = false

  public init(_ line: any InterruptLine) { self.line = line }

  public mutating func drive(_ level: Bool) {
    guard level != isAsserted else { return }
    isAsserted = level
    line.set(level)
  }
}

/// Where a machine's interrupt lines end.
public protocol InterruptLines: Sendable {
  /// A new wire to global system interrupt `number`; several wires to one number are ORed.
  func line(_ number: Int) -> any InterruptLine
}

/// Where a device's output goes: a terminal, a file, a test's array.
public protocol ByteSink: Sendable {
  /// Takes the bytes at once; must not wait for a slow reader, nor call the device.
  func write(_ bytes: Span<UInt8>)
}

extension ByteSink {
  public func write(_ byte: UInt8) {
    let one: [1 of UInt8] = [byte]
    write(one.span)
  }
}

/// A sink that drops everything.
public struct NullSink: ByteSink {
  public init() {}
  public func write(_ bytes: Span<UInt8>) {}
}

/// A device that takes bytes from the host, as fast as its guest reads them.
public protocol ByteReceiver: Sendable {
  /// Takes as many bytes from the front as there is room for; returns how many.
  func receive(_ bytes: [UInt8]) -> Int

  /// How many bytes would be taken now.
  var room: Int { get }

  /// Sets what is called when there is room again after there was none; may come with the
  /// device's lock held, so it only wakes someone.
  func whenRoom(_ body: @escaping @Sendable () -> Void)
}

/// Where messages of devices end that raise interrupts without a line.
public protocol MessageInterrupts: Sendable {
  /// Delivers what the device writes to `address`. Never calls back into a device.
  ///
  /// Reference: SDM vol. 3A, section 11.11, "Message Signalled Interrupts".
  func send(address: UInt64, data: UInt32)
}
