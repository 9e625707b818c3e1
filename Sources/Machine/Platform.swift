import DeviceModel
import GuestMemory
import PCDevices

extension Board {
  /// The devices that every machine has: a PC without a graphics card.
  static func platform(
    timers: DeviceTimers, interrupts: some InterruptLines, memory: GuestMemory,
    connections: MachineConnections,
    power: @escaping @Sendable (PowerRequest) -> Void
  ) throws(AttachError) -> Board {
    var board = Board(
      buses: (ports: Bus(), memory: Bus()), clock: SystemClock(), timers: timers.queue,
      interrupts: interrupts,
      host: Host(memorySize: MemorySize(memory), power: power))
    board.outputs = connections.outputs
    try attachPlatform(to: &board)
    try GuestChannel.attach(to: &board, onEvent: connections.onReport)
    return board
  }
}

extension MemorySize {
  /// The RAM of a machine, below and from 4 GiB.
  init(_ memory: GuestMemory) {
    var size = MemorySize(low: 0, high: 0)
    for region in memory.regions {
      if region.range.lowerBound < MemoryLayoutPC.highMemoryStart {
        size.low += UInt64(region.range.count)
      } else {
        size.high += UInt64(region.range.count)
      }
    }
    self = size
  }
}
