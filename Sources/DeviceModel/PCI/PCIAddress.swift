/// Where a function is on the one PCI bus of a machine.
public struct PCIAddress: Hashable, Comparable, Sendable, BitwiseCopyable {
  /// 0 to 31.
  public let device: UInt8
  /// 0 to 7.
  public let function: UInt8

  public init(device: UInt8, function: UInt8 = 0) {
    precondition(device < 32 && function < 8, "a bus has 32 devices of 8 functions")
    (self.device, self.function) = (device, function)
  }

  /// From the device and function number as configuration addresses have it.
  init(index: UInt8) { (device, function) = (index >> 3, index & 7) }

  /// Device and function in one number, as configuration addresses have it.
  var index: Int { Int(device) << 3 | Int(function) }

  public static func < (left: Self, right: Self) -> Bool { left.index < right.index }
}

extension PCIAddress: CustomStringConvertible {
  /// As `lspci` shows it: `03.0`.
  public var description: String {
    let digits = String(device, radix: 16)
    return (digits.count == 1 ? "0" : "") + digits + ".\(function)"
  }
}
