import Bits
import Boot
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

  /// Gives the board a PCI bus, still without devices.
  mutating func addPCI(messages: some MessageInterrupts, around memory: GuestMemory) {
    pci = PCIBus(
      PCIWindows(memory), buses: (ports, self.memory), interrupts: interrupts, messages: messages)
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

extension PCIWindows {
  /// Room for PCI devices around a machine's RAM, on which ACPI's tables and the bus agree.
  init(_ memory: GuestMemory) {
    let end = memory.regions.last?.range.upperBound ?? 0
    let step: UInt64 = 1 << 30
    let start = max(end, MemoryLayoutPC.highMemoryStart).rounded(upTo: step)
    self.init(
      ports: 0xc000..<0x1_0000, memory: MemoryMap.pciMemory, memory64: start..<start + 64 * step,
      configuration: MemoryMap.pciConfiguration)
  }
}

extension ACPIPlatform {
  /// The machine around `board` as its tables describe it.
  init(_ board: Board, processors: Int) {
    self.init(processorCount: processors)
    virtioWindows = board.windows.map { VirtioWindow(range: $0.range, interrupt: $0.interrupt) }
    guard let windows = board.pci?.windows else { return }
    let lines = (0..<UInt8(31)).flatMap { device in
      (0..<4).map { PCIBus.line(of: device, pin: $0) }
    }
    pci = PCIHost(
      ports: windows.ports, memory: windows.memory, memory64: windows.memory64,
      configuration: windows.configuration, interrupts: lines)
  }
}
