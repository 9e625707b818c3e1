import ArgumentParser
import HostBackends

extension DiskOptions: ExpressibleByArgument {
  /// Reads `FILE[,ro][,format=FORMAT][,serial=TEXT]`.
  public init?(argument: String) {
    let words = argument.split(separator: ",", omittingEmptySubsequences: false)
    guard let path = words.first, !path.isEmpty else { return nil }
    self.init(path: String(path))
    for word in words.dropFirst() {
      let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
      switch (parts.first, parts.dropFirst().first) {
      case ("ro", nil): isReadOnly = true
      case ("format", let name?):
        guard let format = Format(rawValue: name) else { return nil }
        self.format = format
      case ("serial", let text?): serial = text
      default: return nil
      }
    }
  }
}
