import DeviceModel
import GuestMemory
import PCDevices

extension Board {
  /// A board without devices.
  static func empty(
    timers: DeviceTimers, interrupts: some InterruptLines, memory: GuestMemory,
    connections: MachineConnections,
    power: @escaping @Sendable (PowerRequest) -> Void
  ) -> Board {
    var board = Board(
      buses: (ports: Bus(), memory: Bus()), clock: SystemClock(), timers: timers.queue,
      interrupts: interrupts,
      host: Host(memorySize: MemorySize(memory), ram: memory, power: power))
    board.outputs = connections.outputs
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
