internal import CLinux
package import GuestMemory
package import Host
import Synchronization

/// The processors of one machine, what they share, and how one of them stops the others.
///
/// Each processor translates code for itself. What concerns several (a write to code that another
/// has translated, a change of the memory slots, a locked access that straddles pages) is done
/// while the others stand still at a place where they rely on nothing: see ``exclusively(_:_:)``.
package final class ProcessorGroup: @unchecked Sendable {
  package let memory: GuestMemory
  /// What its processors report to at their end.
  let profile = Profile.wanted
  /// Not zero: somebody wants the others to stand still. Set under the gate only.
  private let isWanted = Atomic<UInt32>(0)
  /// Whether a client program gets control between runs, and may write to guest memory unseen.
  let hasClient = Atomic(false)
  private let gate = Monitor(Gate())
  // Read by processors that run, changed while they stand still.
  let slots = PhysicalSlots()
  /// The same slots, as they were asked for. Used only by who has the processors stand still.
  var slotsByNumber: [UInt32: PhysicalMemorySlot] = [:]
  let slotChanges = Atomic<UInt64>(0)
  /// Pages that the machine around the processors wrote to, where it is to know of them.
  let writesOutside = Mutex<[WrittenPage]?>(nil)

  struct Gate {
    /// By processor's number less one. Each takes its entry out before it goes away.
    var members: [Member?] = []
    /// Whether somebody has the others stand still, or waits for them to.
    var isHeld = false

    func allStandStill(but processor: Processor?) -> Bool {
      members.allSatisfy { member in
        guard let member else { return true }
        return member.use {
          $0 === processor || $0.activity.load(ordering: .sequentiallyConsistent) == 0
        }
      }
    }
  }

  /// A processor that belongs to the group, which does not keep it alive.
  @safe
  struct Member {
    private let processor: Unmanaged<Processor>
    init(_ processor: Processor) { unsafe self.processor = .passUnretained(processor) }

    @inline(always)
    func use<Result>(_ body: (Processor) -> Result) -> Result {
      unsafe processor._withUnsafeGuaranteedRef { body($0) }
    }
  }

  package init(memory: GuestMemory) throws(SystemError) {
    self.memory = memory
    for (index, region) in memory.regions.enumerated() {
      try setSlot(
        PhysicalMemorySlot(
          UInt32(index), guestAddress: region.range.lowerBound, size: UInt64(region.range.count),
          hostAddress: unsafe UInt64(UInt(bitPattern: region.host)),
          flags: (region.isReadOnly, false)))
    }
  }

  /// Adds a processor, and gives it its number, from 1.
  func join(_ processor: Processor) {
    whenFree { gate in
      let index = gate.members.firstIndex { $0 == nil } ?? gate.members.count
      if index == gate.members.count { gate.members.append(nil) }
      gate.members[index] = Member(processor)
      processor.number = UInt16(index + 1)
    }
  }

  func part(_ processor: Processor) {
    whenFree { $0.members[Int(processor.number) - 1] = nil }
  }

  /// Does something short that must not happen while somebody has the group stand still.
  func whenFree<Result>(_ body: (inout Gate) -> Result) -> Result {
    let result = gate.wait { gate in gate.isHeld ? nil : body(&gate) }
    guard let result else { preconditionFailure("a wait without deadline has ended early") }
    return result
  }

  // MARK: Standing still

  /// Begins what others must wait for: guest code, or any use of the processor's tables.
  @inline(always)
  func enter(_ processor: Processor) {
    unsafe apus_recover_with(processor.recovery)
    processor.activity.store(1, ordering: .sequentiallyConsistent)
    if isWanted.load(ordering: .sequentiallyConsistent) != 0 { waitToEnter(processor) }
  }

  private func waitToEnter(_ processor: Processor) {
    repeat {
      leave(processor)
      _ = gate.wait { $0.isHeld ? nil : () }
      unsafe apus_recover_with(processor.recovery)
      processor.activity.store(1, ordering: .sequentiallyConsistent)
    } while isWanted.load(ordering: .sequentiallyConsistent) != 0
  }

  /// Ends what others must wait for.
  @inline(always)
  func leave(_ processor: Processor) {
    apus_recover_with(nil)
    processor.activity.store(0, ordering: .sequentiallyConsistent)
    if isWanted.load(ordering: .sequentiallyConsistent) != 0 { gate.change { _ in } }
  }

  /// Stands still if somebody wants that. The processor must rely on nothing that another may
  /// change: no host address, no block.
  @inline(always)
  func standStillIfWanted(_ processor: Processor) {
    if isWanted.load(ordering: .relaxed) != 0 { waitToEnter(processor) }
  }

  /// Runs `body` on the other processors while they stand still.
  ///
  /// - Parameter processor: The processor whose thread calls; `nil` for other threads and for
  ///   processors that do not run. While it waits for its turn it counts as standing still, so it,
  ///   too, must rely on nothing that another may change.
  func exclusively(_ processor: Processor?, _ body: (Processor) -> Void) {
    begin(processor)
    forEachOther(than: processor, body)
    end()
  }

  /// Drops what all processors know of the guest's page tables, before this returns. On any
  /// thread, but not on one inside a run except in calls of its environment.
  package func flushTranslations() { exclusively(nil) { $0.flushCaches() } }

  /// Stops the others until ``end()``.
  func begin(_ processor: Processor?) {
    if let processor { leave(processor) }
    _ = gate.wait { gate -> Void? in
      if gate.isHeld { return nil }
      gate.isHeld = true
      isWanted.store(1, ordering: .sequentiallyConsistent)
      processor?.activity.store(1, ordering: .sequentiallyConsistent)
      return ()
    }
    forEachOther(than: processor) { $0.doorbell.ring() }
    _ = gate.wait { $0.allStandStill(but: processor) ? () : nil }
    if let processor { unsafe apus_recover_with(processor.recovery) }
  }

  func end() {
    gate.change { gate in
      gate.isHeld = false
      isWanted.store(0, ordering: .sequentiallyConsistent)
    }
  }

  /// Whether any processor may have translated code of some pages.
  func isTranslated(_ pages: Range<UInt64>) -> Bool {
    whenFree { _ in
      stride(from: pages.lowerBound, to: pages.upperBound, by: 4096).contains { page in
        slots.find(page).map { $0.state(of: page).value.translator != 0 } ?? false
      }
    }
  }

  /// Whether there is more than one processor.
  var isPlural: Bool { gate.withLock { $0.members.count > 1 } }

  func forEachOther(than processor: Processor?, _ body: (Processor) -> Void) {
    // Nobody joins or parts while the gate is held.
    for member in gate.withLock({ $0.members }) {
      member?.use { if $0 !== processor { body($0) } }
    }
  }
}
