extension TinyGuest {
  /// Runs the guest on a machine of its own.
  ///
  /// - Parameters:
  ///   - watch: is given the processor's doorbell before the guest starts.
  ///   - isExpired: is asked whenever the processor is interrupted, and ends a guest that would
  ///     not end.
  public func run(
    on hypervisor: some Hypervisor, watch: (any Doorbell) -> Void = { _ in },
    isExpired: () -> Bool
  ) -> Verdict {
    do {
      let machine = try hypervisor.makeMachine(memory: makeMemory())
      if usesInterrupts { try machine.makeInterruptController() }
      let cpu = try machine.makeCPU(id: 0)
      try cpu.setCPUID(hypervisor.supportedCPUID())
      try cpu.setSpecialRegisters(makeSpecialRegisters(from: cpu.specialRegisters()))
      try cpu.setModelSpecificRegisters(makeModelSpecificRegisters())
      try cpu.setRegisters(makeRegisters())
      let board = TinyBoard(doorbell: cpu.doorbell) { machine.setInterrupt(0, active: true) }
      watch(cpu.doorbell)
      let stop = try run(cpu, board: board, isExpired: isExpired)
      return judge(board, stop, at: (try? cpu.registers())?.rip)
    } catch KVMError.refused(let call, let errno) {
      return .failed("\(call) was refused (error \(errno)).")
    } catch KVMError.unavailable(let reason), KVMError.unsupported(let reason) {
      return .failed(reason)
    } catch {
      return .failed("There is no memory for it.")
    }
  }

  /// Runs until the guest ends or the time does, which is `nil`.
  private func run(
    _ cpu: some VirtualCPU, board: TinyBoard, isExpired: () -> Bool
  ) throws(KVMError) -> Stop? {
    while true {
      let stop = try cpu.run(handler: board)
      guard stop == .interrupted, !board.isDone else { return stop }
      if isExpired() { return nil }
    }
  }

  private func judge(_ board: TinyBoard, _ stop: Stop?, at address: UInt64?) -> Verdict {
    let isEnded = stop == .halted || (stop == .interrupted && board.isDone)
    if isEnded {
      if board.output == output { return .passed }
      return .failed("It computed \(board.output) where a processor computes \(output).")
    }
    let place = address.map { " at address 0x" + String($0, radix: 16) } ?? ""
    switch stop {
    case nil: return .failed("It never ended\(place).")
    case .shutdown: return .failed("The processor shut down\(place).")
    case .internalError(.emulation):
      return .failed("The hypervisor cannot interpret the instruction\(place).")
    case .some(let stop): return .failed("It stopped\(place): \(stop).")
    }
  }
}

/// The devices of a tiny guest: two ports and a register in memory.
private final class TinyBoard: ExitHandler {
  private(set) var output: [UInt8] = []
  private(set) var isDone = false
  private let doorbell: any Doorbell
  private var register: UInt64 = 0x2a

  /// More than any guest reports; what comes after is dropped.
  private static let outputLimit = 64

  private let raiseInterrupt: () -> Void

  init(doorbell: any Doorbell, raiseInterrupt: @escaping () -> Void) {
    self.doorbell = doorbell
    self.raiseInterrupt = raiseInterrupt
  }

  func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }

  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    if port == 0x10, output.count < Self.outputLimit {
      output.append(UInt8(truncatingIfNeeded: value))
    }
    if port == 0x12 { raiseInterrupt() }
    if port == 0x11 {
      isDone = true
      doorbell.ring()
    }
  }

  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    address == TinyGuest.deviceAddress + 0x10 ? register : .max
  }

  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    if address == TinyGuest.deviceAddress + 0x10 { register = value }
  }
}
