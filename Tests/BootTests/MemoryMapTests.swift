import Boot
import Foundation
import Testing

@Test func `docs slash memory-map.md shows the map that the code uses`() throws {
  let document = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "docs/memory-map.md")
  let text = try String(contentsOf: document, encoding: .utf8)

  // The tables of other machines come under headings of their own.
  let pc = text.components(separatedBy: "\n## ")[0]
  let shown = pc.split(separator: "\n").filter { $0.hasPrefix("| `0x") }.map(String.init)
  let used = MemoryMap.rows.map { row in
    let first = String(row.range.lowerBound, radix: 16)
    let last = String(row.range.upperBound - 1, radix: 16)
    return "| `0x\(first)` | `0x\(last)` | \(row.contents) |"
  }

  #expect(shown == used)
}

@Test func `no two parts of the map overlap`() {
  let rows = MemoryMap.rows
  for (lower, upper) in zip(rows, rows.dropFirst()) {
    #expect(lower.range.upperBound <= upper.range.lowerBound)
  }
}
