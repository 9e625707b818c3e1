import DeviceModel
import FakeDevices
import SeededRandom
import Synchronization

/// A sink that keeps what was written.
final class FakeSink: ByteSink {
  private let bytes = Mutex<[UInt8]>([])
  var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

  func write(_ new: Span<UInt8>) {
    for index in new.indices {
      let byte = new[index]
      bytes.withLock { $0.append(byte) }
    }
  }
}

/// Reads and writes a device at random; returns how many of the reads gave something.
func fuzz<Device: BusDevice>(
  _ device: inout Device, size: UInt64, seed: UInt64, accesses: Int = 100_000,
  between: (inout Device, inout SeededGenerator) -> Void = { _, _ in }
) -> Int {
  var random = SeededGenerator(seed: seed)
  var answers = 0
  for _ in 0..<accesses {
    let width = AccessWidth.allCases.randomElement(using: &random) ?? .byte
    // Offsets beyond the device come from accesses that run over its end.
    let offset = random.next() % (size + 2)
    if random.next() & 1 == 0 {
      device.write(random.next(), to: offset, width: width)
    } else if device.read(offset, width: width) & width.mask != 0 {
      answers += 1
    }
    between(&device, &random)
  }
  return answers
}

/// Counts the machine's resets and power-offs.
final class PowerRecorder: Sendable {
  private let requests = Mutex<[PowerRequest]>([])
  func note(_ request: PowerRequest) { requests.withLock { $0.append(request) } }
  func take() -> [PowerRequest] {
    requests.withLock { requests in
      defer { requests = [] }
      return requests
    }
  }
}

/// Hands out lines and remembers them by number.
final class FakeLines: InterruptLines {
  private let lines = Mutex<[Int: FakeLine]>([:])

  func line(_ number: Int) -> any InterruptLine { fake(number) }

  func fake(_ number: Int) -> FakeLine {
    lines.withLock { lines in
      let line = lines[number] ?? FakeLine()
      lines[number] = line
      return line
    }
  }
}
