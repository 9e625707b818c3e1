extension Processor {
  /// Runs `body`, which may leave the processor for its caller and come back much later. Meanwhile
  /// all the guest's registers can be read, and the general ones replaced.
  ///
  /// In a helper that keeps no complete image, x87 is still in the host's registers, where the
  /// caller may not find it, and the vector registers are in the vector area, where they stay.
  package func suspended(_ body: () -> Void) {
    let isLive = run.hasLiveVectors != 0
    if isLive { call(translation.thunks.stacks.park) }
    body()
    clientHadControl()
    // What follows the instruction may not be what it was.
    run.codeWriteSeen = 1
    if isLive { call(translation.thunks.stacks.unpark) }
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

  private func call(_ routine: UInt32) {
    unsafe unsafeBitCast(
      Int(translation.store.cache.run(at: routine)), to: StackRoutines.Park.self)()
  }

  /// Brings the image up to date where a helper that keeps none is suspended.
  func completeImage() {
    guard run.hasLiveVectors != 0 else { return }
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
}
