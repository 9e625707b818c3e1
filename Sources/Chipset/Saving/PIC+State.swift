import KVM

extension PIC {
  /// What KVM_GET_IRQCHIP tells; `levelMask` are the bits of ELCR that can be set.
  func state(levelMask: UInt8) -> PICState {
    var state = PICState()
    state.lastRequests = lines
    (state.requests, state.mask, state.inService) = (request, mask, inService)
    (state.highestPriority, state.vectorBase) = (top, vectorBase)
    state.readRegisterSelect = readsInService ? 1 : 0
    state.poll = isPolled ? 1 : 0
    state.specialMask = isSpeciallyMasked ? 1 : 0
    // KVM counts the words from ICW1, the data port here from ICW2.
    state.initializationState = expectedWord == 0 ? 0 : expectedWord - 1
    state.automaticEnd = endsAutomatically ? 1 : 0
    state.rotateOnAutomaticEnd = rotatesAutomatically ? 1 : 0
    state.specialFullyNested = isSpeciallyNested ? 1 : 0
    state.hasFourthWord = expectsFourthWord ? 1 : 0
    (state.levelTriggered, state.levelTriggeredMask) = (levelTriggered, levelMask)
    return state
  }

  mutating func restore(_ state: PICState, levelMask: UInt8) {
    self = PIC(cascade: cascade)
    lines = state.lastRequests
    levelTriggered = state.levelTriggered & levelMask
    (request, mask, inService) = (state.requests, state.mask, state.inService)
    (top, vectorBase) = (state.highestPriority & 7, state.vectorBase & 0xf8)
    readsInService = state.readRegisterSelect != 0
    isPolled = state.poll != 0
    isSpeciallyMasked = state.specialMask != 0
    expectedWord = state.initializationState == 0 ? 0 : min(state.initializationState, 3) + 1
    endsAutomatically = state.automaticEnd != 0
    rotatesAutomatically = state.rotateOnAutomaticEnd != 0
    isSpeciallyNested = state.specialFullyNested != 0
    expectsFourthWord = state.hasFourthWord != 0
    (ended, unmasked) = (0, 0)
  }
}

extension PICPair {
  func state(isSecond: Bool) -> PICState {
    isSecond
      ? second.state(levelMask: Self.secondLevels) : first.state(levelMask: Self.firstLevels)
  }

  mutating func restore(_ state: PICState, isSecond: Bool) {
    if isSecond {
      second.restore(state, levelMask: Self.secondLevels)
    } else {
      first.restore(state, levelMask: Self.firstLevels)
    }
    cascade()
  }
}
