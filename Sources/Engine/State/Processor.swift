package import GuestMemory
package import Host

/// One virtual processor: its registers, its view of memory, and its translated code.
///
/// Made on, and used by, one thread. Everything that changes while the guest runs is behind
/// pointers fixed for the processor's life, so that emitted code and Swift share it.
@safe
package final class Processor {
  /// Where the GS base points while translated code runs.
  let state: UnsafeMutablePointer<CPUState>
  package let memory: GuestMemory
  package let environment: any ProcessorEnvironment
  /// x87, SSE and AVX state while Swift runs: a 64-byte aligned XSAVE image in the standard
  /// format, 4096 bytes, whose XSTATE_BV says which parts are not in their initial state.
  package let extendedArea: UnsafeMutableRawPointer
  private let storage: Mapping

  package init(
    memory: GuestMemory, environment: any ProcessorEnvironment
  ) throws(SystemError) {
    self.memory = memory
    self.environment = environment
    storage = try Mapping(anonymous: 1 << 20)
    unsafe state = unsafe storage.base.bindMemory(to: CPUState.self, capacity: 1)
    unsafe state.initialize(to: CPUState())
    unsafe extendedArea = unsafe storage.base + 0x10000
    initializeExtendedArea()
  }

  /// The registers, in place.
  package var cpu: CPUState {
    @inline(always) _read { yield unsafe state.pointee }
    @inline(always) _modify { yield unsafe &state.pointee }
  }
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
}

/// Why the engine returned to its caller.
package enum StopReason: BitwiseCopyable, Hashable {
  /// HLT with nothing to wake it yet.
  case halted
  /// A triple fault.
  case shutdown
  /// Somebody asked through ``CPUState/attention``.
  case interrupted
}
