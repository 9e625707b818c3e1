import ArgumentParser

/// A directory and where the guest has it, as people write it.
struct ShareArgument: ExpressibleByArgument {
  let path: String
  /// A path, or a tag.
  let place: String
  let isReadOnly: Bool

  init(path: String, place: String, isReadOnly: Bool = false) {
    (self.path, self.place, self.isReadOnly) = (path, place, isReadOnly)
  }

  /// Reads `DIRECTORY:PLACE[:ro]`.
  init?(argument: String) {
    let words = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (2...3).contains(words.count), !words[0].isEmpty, !words[1].isEmpty else { return nil }
    if words.count == 3 && words[2] != "ro" { return nil }
    self.init(path: words[0], place: words[1], isReadOnly: words.count == 3)
  }

  var isMounted: Bool { place.hasPrefix("/") }
}
