public import DeviceModel
import Glibc

/// A device that fills buffers with random bytes.
///
/// Reference: VIRTIO 1.2, section 5.4, "Entropy Device".
public struct EntropyDevice: VirtioDevice {
  public static let kind: UInt32 = 4

  public let queueSizes: [UInt16] = [64]
  private let source: any EntropySource
  private var chain = DescriptorChain()

  /// More than a driver asks for at a time. A request for gigabytes gets as much and no more, so
  /// that it cannot hold up its processor; the used ring says how much it was.
  static let requestLimit = 64 << 10

  public init(source: any EntropySource = HostEntropy()) { self.source = source }

  public mutating func serve(
    queue number: Int, _ queues: inout VirtioQueues
  ) throws(QueueFault) {
    while try queues[number].next(into: &chain) {
      let bytes = source.bytes(min(chain.writableCount, Self.requestLimit))
      let written = chain.write(bytes, to: queues.memory)
      try queues[number].complete(chain, written: written)
    }
  }
}

/// Where random bytes come from.
public protocol EntropySource: Sendable {
  /// Unpredictable bytes, at once.
  func bytes(_ count: Int) -> [UInt8]
}

/// The host's random numbers, as getrandom(2) gives them.
public struct HostEntropy: EntropySource {
  public init() {}

  public func bytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // The call gives up to 256 bytes at a time, and never fewer than asked for.
    for start in stride(from: 0, to: count, by: 256) {
      let part = min(256, count - start)
      unsafe bytes.withUnsafeMutableBytes { buffer in
        guard let base = buffer.baseAddress else { return }
        let result = unsafe getentropy(base + start, part)
        precondition(result == 0, "the host's kernel has random numbers")
      }
    }
    return bytes
  }
}

extension EntropyDevice: DeviceKind {
  public static let name = "rng"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    try board.attach(EntropyDevice(), named: name)
  }
}
