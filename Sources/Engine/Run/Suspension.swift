extension Processor {
  /// Runs `body`, which may leave the processor for its caller and come back much later: all the
  /// guest's registers are in the state block and the extended area meanwhile, and may be replaced
  /// there.
  ///
  /// In a helper that keeps no complete image, x87 is still in the host's registers, and the vector
  /// registers are in the vector area.
  package func suspended(_ body: () -> Void) {
    let isLive = run.hasLiveVectors != 0
    if isLive { parkVectors() }
    body()
    clientHadControl()
    // What follows the instruction may not be what it was.
    run.codeWriteSeen = 1
    if isLive { unparkVectors() }
  }

  /// XMM register `index`, in a helper or between runs.
  package func vectorRegister(_ index: Int) -> (low: UInt64, high: UInt64) {
    let place =
      if run.hasLiveVectors != 0 {
        unsafe UnsafeRawPointer(state) + StateLayout.vectorArea + 32 * index
      } else {
        unsafe UnsafeRawPointer(extendedArea) + ExtendedState.streamingRegisters + 16 * index
      }
    if run.hasLiveVectors == 0 { fillInitialState() }
    return unsafe (
      place.loadUnaligned(as: UInt64.self),
      place.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    )
  }

  private func parkVectors() {
    let routine = translation.thunks.stacks.park
    unsafe unsafeBitCast(
      Int(translation.store.cache.run(at: routine)), to: StackRoutines.Park.self)()
    let vectors = unsafe UnsafeRawPointer(state) + StateLayout.vectorArea
    for index in 0..<16 {
      let low = unsafe extendedArea + ExtendedState.streamingRegisters + 16 * index
      unsafe low.copyMemory(from: vectors + 32 * index, byteCount: 16)
      let high = unsafe extendedArea + ExtendedState.vectorRegisters + 16 * index
      unsafe high.copyMemory(from: vectors + 32 * index + 16, byteCount: 16)
    }
    controlStatus = run.guestMXCSR
    componentsPresent |= ExtendedState.streaming | ExtendedState.vector
  }

  private func unparkVectors() {
    fillInitialState()
    let vectors = unsafe UnsafeMutableRawPointer(state) + StateLayout.vectorArea
    for index in 0..<16 {
      let low = unsafe extendedArea + ExtendedState.streamingRegisters + 16 * index
      unsafe (vectors + 32 * index).copyMemory(from: low, byteCount: 16)
      let high = unsafe extendedArea + ExtendedState.vectorRegisters + 16 * index
      unsafe (vectors + 32 * index + 16).copyMemory(from: high, byteCount: 16)
    }
    run.guestMXCSR = controlStatus
    let routine = translation.thunks.stacks.unpark
    unsafe unsafeBitCast(
      Int(translation.store.cache.run(at: routine)), to: StackRoutines.Park.self)()
  }
}
