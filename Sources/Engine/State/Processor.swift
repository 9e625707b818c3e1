internal import CLinux
package import GuestMemory
package import Host
import Synchronization

/// One virtual processor: its registers, its view of memory, and its translated code.
///
/// Made on, and used by, one thread. Everything that changes while the guest runs is behind
/// pointers fixed for the processor's life, so that emitted code and Swift share it.
@safe
package final class Processor {
  /// Where the GS base points while translated code runs.
  let state: UnsafeMutablePointer<CPUState>
  let runState: UnsafeMutablePointer<RunState>
  /// The processors of the machine, and what they share.
  package let group: ProcessorGroup
  /// Among them; set by ``ProcessorGroup/join(_:)``.
  var number: UInt16 = 0
  /// The machine's memory, which changes while the processor stands still.
  let slots: PhysicalSlots
  /// Not zero while the processor is at something that others must wait for.
  let activity = Atomic<UInt32>(0)
  /// Guest-physical address of memory that could not be reached when the last run ended so.
  package internal(set) var badAddress: UInt64 = 0
  /// What the thread that runs the processor does about memory that it cannot reach.
  let recovery: UnsafeMutablePointer<apus_recovery>
  package let environment: any ProcessorEnvironment
  /// What of the instruction set the guest is offered.
  package private(set) var features: FeatureSet
  /// Raised, and not delivered yet.
  package var pendingException: PendingException? {
    didSet { if pendingException != nil { doorbell.ring() } }
  }
  /// What is wanted from outside the guest.
  package var debugPlan = DebugPlan() { didSet { debugChanged() } }
  var debugReport = DebugReport()
  /// x87, SSE and AVX state while Swift runs: a 64-byte aligned XSAVE image in the standard
  /// format, 4096 bytes, whose XSTATE_BV says which parts are not in their initial state.
  package let extendedArea: UnsafeMutableRawPointer
  let translation: Translation
  let softTLB: SoftTLB
  let jumpCache: JumpCache
  let fetchTLB: FetchTLB
  let profile: ProcessorProfile?
  private let returnStack: ReturnStack
  private let storage: Mapping

  /// A processor of a machine without others.
  package convenience init(
    memory: GuestMemory, environment: any ProcessorEnvironment, features: FeatureSet
  ) throws(SystemError) {
    try self.init(
      group: ProcessorGroup(memory: memory), environment: environment, features: features)
  }

  package init(
    group: ProcessorGroup, environment: any ProcessorEnvironment, features: FeatureSet
  ) throws(SystemError) {
    self.group = group
    slots = group.slots
    unsafe recovery = .allocate(capacity: 1)
    unsafe recovery.initialize(to: apus_recovery())
    self.environment = environment
    self.features = features
    storage = try Mapping(anonymous: StateLayout.size)
    let base = unsafe storage.base
    unsafe state = base.bindMemory(to: CPUState.self, capacity: 1)
    unsafe state.initialize(to: CPUState())
    unsafe runState = (base + StateLayout.runState).bindMemory(to: RunState.self, capacity: 1)
    unsafe runState.initialize(to: RunState())
    unsafe extendedArea = base + StateLayout.extendedArea
    translation = try Translation(isProfiled: group.profile != nil)
    unsafe softTLB = SoftTLB(base: base)
    let find = translation.store.cache.run(at: translation.thunks.findByJump)
    unsafe jumpCache = JumpCache(base: base, find: find)
    unsafe fetchTLB = FetchTLB(memory: base + StateLayout.fetchTLB)
    let bottom = translation.store.cache.run(at: translation.thunks.emptyReturn)
    returnStack = try ReturnStack(bottom: bottom)
    unsafe runState.pointee.returnStackTop = returnStack.top
    unsafe runState.pointee.returnStack = returnStack.top
    if let wanted = group.profile {
      profile = unsafe ProcessorProfile(wanted, state: state)
    } else {
      profile = nil
    }
    initializeExtendedArea()
    unsafe runState.pointee.processor = UInt64(
      UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    group.join(self)
  }

  deinit {
    profile?.end(self)
    group.part(self)
    unsafe recovery.deallocate()
  }

  package var memory: GuestMemory { group.memory }

  /// Changes what of the instruction set the guest is offered.
  package func offer(_ features: FeatureSet) {
    guard features != self.features else { return }
    self.features = features
    inside { dropAllBlocks() }
  }

  /// The registers, in place. As a coroutine, reading would copy them for other modules.
  package var cpu: CPUState {
    @inline(always) unsafeAddress { unsafe UnsafePointer(state) }
    @inline(always) unsafeMutableAddress { unsafe state }
  }

  /// The engine's own words, in place.
  var run: RunState {
    @inline(always) _read { yield unsafe runState.pointee }
    @inline(always) _modify { yield unsafe &runState.pointee }
  }

  /// What other threads ask for attention with; valid as long as the processor.
  package var doorbell: AttentionFlag {
    let field =
      unsafe UnsafeMutableRawPointer(state)
      + Int(StateLayout.field(\CPUState.attention))
    return unsafe AttentionFlag(flag: field.assumingMemoryBound(to: Atomic<UInt32>.self))
  }
}

/// Makes a processor stop to look for interrupts and requests, from any thread.
@safe
package struct AttentionFlag: @unchecked Sendable {
  // The word is in the processor's state block and only ever accessed atomically from outside.
  private let flag: UnsafeMutablePointer<Atomic<UInt32>>

  init(flag: UnsafeMutablePointer<Atomic<UInt32>>) { unsafe self.flag = unsafe flag }

  package func ring() { unsafe flag.pointee.store(1, ordering: .releasing) }

  /// Clears the request; returns whether there was one.
  package func answer() -> Bool {
    unsafe flag.pointee.exchange(0, ordering: .acquiring) != 0
  }

  package var isRung: Bool { unsafe flag.pointee.load(ordering: .relaxed) != 0 }
}

/// How a privileged instruction ended.
package enum Outcome: BitwiseCopyable {
  /// Go on with the next instruction, in the same mode.
  case next
  /// Go on with the next instruction, but look its block up anew: a mode, a mapping or the
  /// interrupt flag changed.
  case nextInNewMode
  /// The instruction pointer has been set; look the block up anew.
  case jumped
  /// Leave the run loop once the instruction pointer is past this instruction.
  case stop(StopReason)
  /// Leave the run loop at this instruction.
  case stopHere(StopReason)
}

/// Why the engine returned to its caller.
package enum StopReason: UInt8, BitwiseCopyable, Hashable {
  /// HLT with nothing to wake it yet.
  case halted
  /// A triple fault.
  case shutdown
  /// Somebody asked through ``CPUState/attention``.
  case interrupted
  /// What a ``DebugPlan`` waits for; see ``Processor/debugExit()``.
  case debug
  /// The instruction pointer leads where no memory is.
  case unreachableCode
  /// This process cannot read or write what a memory slot names.
  case badMemory
}
