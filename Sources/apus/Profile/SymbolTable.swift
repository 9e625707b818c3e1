import Host

/// Names of a guest kernel's functions by address, from its `System.map` or its ELF file.
struct SymbolTable {
  private var symbols: [(address: UInt64, name: String)] = []

  /// - Parameter path: A `System.map` (lines of address, type and name) or a 64-bit ELF file that
  ///   has its symbols.
  init(path: String) throws(Failure) {
    let bytes: [UInt8]
    do throws(FileContents.Failure) {
      let file = try FileContents(path: path, limit: 1 << 30)
      bytes = file.withBytes { span in
        unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
      }
    } catch {
      throw Failure("the file of symbols \(path) cannot be read.")
    }
    symbols = bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) ? Self.elf(bytes) : Self.map(bytes)
    if symbols.isEmpty { throw Failure("the file \(path) has no symbols of functions.") }
    symbols.sort { $0.address < $1.address }
  }

  /// The function that an address is in, by what begins last before it.
  func name(of address: UInt64) -> String? {
    var (low, high) = (0, symbols.count)
    while low < high {
      let middle = (low + high) / 2
      if symbols[middle].address <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0, address - symbols[low - 1].address < 1 << 20 else { return nil }
    return symbols[low - 1].name
  }

  private static func map(_ bytes: [UInt8]) -> [(UInt64, String)] {
    bytes.split(separator: 10).compactMap { line in
      let words = line.split(separator: 32)
      guard words.count >= 3, words[1].first.map({ $0 | 0x20 == 0x74 }) ?? false,
        let address = UInt64(String(decoding: words[0], as: UTF8.self), radix: 16)
      else { return nil }
      return (address, String(decoding: words[2], as: UTF8.self))
    }
  }

  /// Reference: System V ABI, chapter 4, "Symbol Table".
  private static func elf(_ bytes: [UInt8]) -> [(UInt64, String)] {
    func number(_ at: Int, _ size: Int) -> Int {
      guard at >= 0, at + size <= bytes.count else { return 0 }
      return (0..<size).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
    }
    let (headers, count) = (number(40, 8), number(60, 2))
    var found: [(UInt64, String)] = []
    for header in (0..<count).map({ headers + 64 * $0 }) where number(header + 4, 4) == 2 {
      let names = number(headers + 64 * number(header + 40, 4) + 24, 8)
      let start = number(header + 24, 8)
      for symbol in stride(from: start, to: start + number(header + 32, 8), by: 24)
      where number(symbol + 4, 1) & 15 == 2 {
        let name = names + number(symbol, 4)
        guard name >= 0, name < bytes.count else { continue }
        let text = bytes[name...].prefix { $0 != 0 }
        found.append(
          (UInt64(bitPattern: Int64(number(symbol + 8, 8))), String(decoding: text, as: UTF8.self)))
      }
    }
    return found
  }
}
