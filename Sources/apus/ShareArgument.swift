import ArgumentParser
import HostBackends

extension ShareOptions: ExpressibleByArgument {
  /// Reads `DIRECTORY:TAG[:ro]`.
  public init?(argument: String) {
    let words = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (2...3).contains(words.count), !words[0].isEmpty, !words[1].isEmpty else { return nil }
    if words.count == 3 && words[2] != "ro" { return nil }
    self.init(path: words[0], tag: words[1], isReadOnly: words.count == 3)
  }
}
