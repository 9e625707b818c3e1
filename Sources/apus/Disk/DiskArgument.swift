import ArgumentParser
import HostBackends

extension DiskOptions {
  /// What `--disk` takes.
  static let grammar =
    "FILE[,ro][,ephemeral][,format=raw|qcow2][,cache=none|writeback|unsafe][,serial=TEXT]"

  /// Reads what is given with `--disk`.
  static func parsed(_ argument: String) throws -> DiskOptions {
    let words = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard let path = words.first, !path.isEmpty else {
      throw ValidationError("a disk begins with its file: \(grammar).")
    }
    var options = DiskOptions(path: path)
    for word in words.dropFirst() { try options.take(word) }
    return options
  }

  private mutating func take(_ word: String) throws {
    let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
    switch (parts.first, parts.dropFirst().first) {
    case ("ro", nil): isReadOnly = true
    case ("ephemeral", nil): isEphemeral = true
    case ("format", let name?): format = try Self.choice(name, of: "format")
    case ("cache", let name?): cache = try Self.choice(name, of: "cache")
    case ("serial", let text?): serial = text
    case ("ro", _), ("ephemeral", _): throw ValidationError("'\(word)': it takes no value.")
    case ("format", nil), ("cache", nil), ("serial", nil):
      throw ValidationError("'\(word)' needs a value behind an equals sign.")
    default: throw ValidationError("'\(word)' is no option of a disk; there are \(Self.grammar).")
    }
  }

  private static func choice<Choice: CaseIterable & RawRepresentable<String>>(
    _ name: String, of word: String
  ) throws -> Choice {
    if let choice = Choice(rawValue: name) { return choice }
    let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    throw ValidationError("'\(name)' is no \(word); there are \(names).")
  }
}
