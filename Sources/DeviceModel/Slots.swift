public import Synchronization

/// What a bus calls: a device together with its lock.
public protocol BusSlot: AnyObject, Sendable {
  func read(_ offset: UInt64, width: AccessWidth) -> UInt64
  func write(_ value: UInt64, to offset: UInt64, width: AccessWidth)
}

/// A device behind its lock, to attach to a bus and to reach from the host's side.
///
/// Lock order: a device's lock first, then the interrupt controller's or the timer queue's.
public final class Shared<Device: BusDevice & ~Copyable>: BusSlot {
  @usableFromInline let device: Mutex<Device>

  @inlinable
  public init(_ device: consuming sending Device) { self.device = Mutex(device) }

  /// Runs `body` with exclusive access to the device.
  @inlinable
  public func withLock<Result>(_ body: (inout Device) -> sending Result) -> sending Result {
    device.withLock { body(&$0) }
  }

  @inlinable
  public func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    device.withLock { $0.read(offset, width: width) }
  }

  @inlinable
  public func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    device.withLock { $0.write(value, to: offset, width: width) }
  }
}

/// A timed device behind its lock; each access tells the timer queue the device's new deadline.
public final class Timed<Device: TimedDevice & ~Copyable>: BusSlot {
  @usableFromInline let device: Mutex<Device>
  @usableFromInline let alarm: Alarm

  /// Puts `device` behind a lock and on `timers`, which from then on advances it.
  @inlinable
  public init(_ device: consuming sending Device, timers: TimerQueue) {
    let first = device.deadline
    self.device = Mutex(device)
    alarm = timers.makeAlarm()
    alarm.onFire { [weak self] now in self?.withLock { $0.advance(to: now) } }
    alarm.schedule(at: first)
  }

  /// Runs `body` with exclusive access to the device, then takes over its deadline.
  @inlinable
  public func withLock<Result>(_ body: (inout Device) -> sending Result) -> sending Result {
    device.withLock { device in
      let result = body(&device)
      // Under the device's lock, so that of two deadlines the later one told is the newer.
      alarm.schedule(at: device.deadline)
      return result
    }
  }

  @inlinable
  public func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    withLock { $0.read(offset, width: width) }
  }

  @inlinable
  public func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    withLock { $0.write(value, to: offset, width: width) }
  }
}

/// Two functions as a slot, for registers of something that has a lock already.
public final class FunctionSlot: BusSlot {
  private let reading: @Sendable (UInt64, AccessWidth) -> UInt64
  private let writing: @Sendable (UInt64, UInt64, AccessWidth) -> Void

  /// - Parameters:
  ///   - read: offset and width to value.
  ///   - write: value, offset, width.
  public init(
    read: @escaping @Sendable (UInt64, AccessWidth) -> UInt64,
    write: @escaping @Sendable (UInt64, UInt64, AccessWidth) -> Void
  ) {
    (reading, writing) = (read, write)
  }

  public func read(_ offset: UInt64, width: AccessWidth) -> UInt64 { reading(offset, width) }

  public func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    writing(value, offset, width)
  }
}

/// A slot of byte-wide registers: splits wider accesses into bytes, low byte first.
public final class ByteSlot: BusSlot {
  private let inner: any BusSlot

  public init(_ inner: any BusSlot) { self.inner = inner }

  public func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    (0..<UInt64(width.bytes)).reduce(0) { value, index in
      value | (inner.read(offset &+ index, width: .byte) & 0xff) &<< (8 &* index)
    }
  }

  public func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    for index in 0..<UInt64(width.bytes) {
      inner.write((value &>> (8 &* index)) & 0xff, to: offset &+ index, width: .byte)
    }
  }
}
