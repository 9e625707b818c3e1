import Host

/// A file that the driver knows, by a descriptor that names it and cannot be used for anything else.
///
/// Descriptors and not paths: whatever is renamed or replaced by links meanwhile, a descriptor stays
/// with its file, and nobody is led out of the tree.
final class ShareNode: Sendable {
  /// What tells the host's files apart.
  struct Identity: Hashable, Sendable {
    let device: UInt64
    let file: UInt64
  }

  let descriptor: FileDescriptor
  let identity: Identity

  init(_ descriptor: consuming FileDescriptor, _ identity: Identity) {
    self.descriptor = descriptor
    self.identity = identity
  }
}

/// The files that the driver knows by numbers, and how often it was told of each.
///
/// It may know more files than a process may have open. So each entry also says how its file was
/// found, and only the last ones that were used have their descriptors.
struct ShareNodes {
  /// The number of the tree's top.
  static let top: UInt64 = 1

  /// How a file was found: the directory's number, and the name there.
  struct Place: Hashable {
    let directory: UInt64
    let name: [CChar]
  }

  struct Entry {
    let identity: ShareNode.Identity
    var place: Place
    var lookups: UInt64
    var node: ShareNode?
  }

  private var entries: [UInt64: Entry] = [:]
  private var numbers: [ShareNode.Identity: UInt64] = [:]
  private var next = Self.top
  /// Entries with a descriptor, the oldest first; some may have lost it since.
  private var opened: [UInt64] = []
  private var openCount = 0
  private let limit: Int

  /// - Parameter limit: of files with a descriptor.
  init(limit: Int) { self.limit = limit }

  subscript(number: UInt64) -> Entry? { entries[number] }

  /// Counts one more lookup of the file that `node` names; returns the number it is known by.
  mutating func add(_ node: ShareNode, at place: Place) -> UInt64 {
    if let known = numbers[node.identity] {
      entries[known]?.lookups += 1
      if known != Self.top { entries[known]?.place = place }
      open(known, node)
      return known
    }
    let number = next
    next += 1
    numbers[node.identity] = number
    entries[number] = Entry(identity: node.identity, place: place, lookups: 1, node: nil)
    open(number, node)
    return number
  }

  /// Keeps a descriptor, and lets go of the oldest if there are too many.
  mutating func open(_ number: UInt64, _ node: ShareNode) {
    guard let entry = entries[number], entry.node == nil else { return }
    entries[number]?.node = node
    if number == Self.top { return }
    opened.append(number)
    openCount += 1
    guard openCount > limit else { return }
    let old = opened.prefix(limit / 4)
    opened.removeFirst(old.count)
    for number in old { close(number) }
  }

  private mutating func close(_ number: UInt64) {
    guard entries[number]?.node != nil else { return }
    entries[number]?.node = nil
    openCount -= 1
  }

  /// The driver has moved a file.
  mutating func move(_ old: Place, to new: Place) {
    for (number, entry) in entries where entry.place == old { entries[number]?.place = new }
  }

  /// The driver has forgotten so many lookups of a file.
  mutating func forget(_ number: UInt64, _ count: UInt64) {
    guard number != Self.top, let entry = entries[number] else { return }
    if count < entry.lookups {
      entries[number]?.lookups = entry.lookups - count
    } else {
      close(number)
      entries[number] = nil
      numbers[entry.identity] = nil
    }
  }

  /// Forgets everything but the top.
  mutating func reset() {
    entries = entries.filter { $0.key == Self.top }
    numbers = numbers.filter { $0.value == Self.top }
    opened = []
    openCount = 0
  }
}

/// A file or a directory that the driver has open.
final class ShareHandle: Sendable {
  let descriptor: FileDescriptor
  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}
