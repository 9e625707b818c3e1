/// The requests of a device that somebody else is carrying out.
struct RequestTable {
  /// Who is done says which request it was, and of which driver: a reset forgets the others.
  struct Ticket: Hashable, Sendable, BitwiseCopyable {
    fileprivate let slot: Int
    fileprivate let generation: UInt64
  }

  struct Entry {
    let chain: DescriptorChain
    let queue: Int
    let isRead: Bool
  }

  private var entries: [Entry?] = []
  private var free: [Int] = []
  private var generation: UInt64 = 0

  mutating func add(_ chain: DescriptorChain, queue: Int, isRead: Bool) -> Ticket {
    let slot = free.popLast() ?? entries.count
    if slot == entries.count { entries.append(nil) }
    entries[slot] = Entry(chain: chain, queue: queue, isRead: isRead)
    return Ticket(slot: slot, generation: generation)
  }

  /// The request, which then is none any more; `nil` for one of before a reset.
  mutating func take(_ ticket: Ticket) -> Entry? {
    guard ticket.generation == generation, let entry = entries[ticket.slot] else { return nil }
    entries[ticket.slot] = nil
    free.append(ticket.slot)
    return entry
  }

  mutating func forgetAll() {
    entries.removeAll()
    free.removeAll()
    generation += 1
  }
}
