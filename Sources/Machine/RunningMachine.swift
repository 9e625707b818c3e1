package import Boot
public import DeviceModel
package import GuestMemory
import Host
public import KVM
public import PCDevices

/// What connects a machine with the world around it.
public struct MachineConnections: Sendable {
  /// Where devices' output goes, by the device's name (`com1`).
  public var outputs: [String: any ByteSink] = [:]
  /// Called on a processor's thread after each port write, with no lock held: may wait for a slow
  /// reader of the output.
  public var afterWrite: @Sendable () -> Void = {}
  /// Called on a processor's thread when the first program of a guest of ours reports itself; it
  /// only notes that.
  public var onReport: @Sendable (GuestChannel.Event) -> Void = { _ in }
  /// Called once, on any thread, when the run has ended; it only wakes someone.
  public var onEnd: @Sendable () -> Void = {}

  public init() {}
}

/// A machine with its devices and processors, from the first instruction to the end of the run.
///
/// Any thread may use it. Each processor has a thread of its own, and so have the timed devices.
public final class RunningMachine<Backend: Hypervisor>: Sendable {
  private let machine: Backend.Machine
  private let memory: GuestMemory
  private let board: Board
  private let timers: DeviceTimers
  private let start: ProcessorStart
  private let control: RunControl
  private let afterWrite: @Sendable () -> Void
  /// Only where a processor that sleeps with interrupts off is the end of the run.
  private let haltWatch: HaltWatch?
  private let threads = Monitor<[HostThread]>([])

  /// Builds the machine that `configuration` describes around a guest's memory.
  public convenience init(
    _ configuration: MachineConfiguration, on backend: Backend, guest: borrowing LoadedGuest,
    connections: MachineConnections
  ) throws(MachineError) {
    let shape = MachineShape(
      devices: DeviceSet(configuration.model), processors: configuration.processors,
      requests: configuration.devices)
    try self.init(shape, on: backend, memory: guest.memory, connections: connections) {
      board throws(MachineError) in
      try guest.start(on: ACPIPlatform(board, processors: configuration.processors))
    }
  }

  /// Builds a machine around `memory`. `prepare` is given the board with all its devices; it
  /// puts what is missing into the memory, and returns what starts it.
  package init(
    _ shape: MachineShape, on backend: Backend, memory: GuestMemory,
    connections: MachineConnections,
    prepare: (Board) throws(MachineError) -> InitialProcessorState
  ) throws(MachineError) {
    self.memory = memory
    let features: [CPUIDEntry]
    do throws(KVMError) {
      machine = try backend.makeMachine(memory: memory, processors: shape.processors)
      if shape.devices.hasInterruptController {
        try machine.makeInterruptController()
        // A back end that cannot change its routes has a PC's from the start.
        try (machine as? any InterruptibleMachine)?.setRoutes(.personalComputer)
      }
      if shape.devices.isPersonalComputer { try machine.makeTimer() }
      features = try backend.supportedCPUID()
    } catch {
      throw .hypervisor(error)
    }
    let control = RunControl(onEnd: connections.onEnd)
    timers = DeviceTimers(clock: SystemClock())
    let interrupts = MachineInterrupts(machine)
    var board = Board.empty(
      timers: timers, interrupts: interrupts, memory: memory, connections: connections
    ) { request in control.finish(RunEnd(request)) }
    if shape.devices == .pc { board.addPCI(messages: interrupts, around: memory) }
    try board.populate(shape, connections)
    (self.board, self.control, afterWrite) = (board, control, connections.afterWrite)
    haltWatch =
      shape.devices == .thin
      ? HaltWatch(timers: timers.queue, clock: board.clock, control: control) : nil
    start = ProcessorStart(
      initial: try prepare(board), features: features, count: shape.processors,
      modelSpecific: shape.devices.isPersonalComputer ? [ProcessorStart.writeBackMemory] : [])
  }

  /// The device that takes input under this name (`com1`), if there is one.
  public func input(_ name: String) -> (any ByteReceiver)? { board.inputs[name] }

  /// Tells the guest's command that its standard input is over.
  public func endInput() { (board.inputs[GuestChannel.name] as? GuestInput)?.end() }

  /// Starts the processors.
  public func run() throws(MachineError) {
    do throws(SystemError) {
      try keep(timers.start())
      for id in 0..<UInt32(start.count) {
        try keep(HostThread(named: "cpu \(id)") { self.runProcessor(id) })
      }
    } catch {
      stop()
      throw .host(error)
    }
  }

  /// Ends the run, if it has not ended by itself.
  public func stop() { control.finish(.stopped) }

  /// How the run ended; `nil` while it goes on.
  public var end: RunEnd? { control.end }

  /// Presses the power button.
  public func pressPowerButton() { board.pressPowerButton() }

  /// Waits for the end of the run and of its threads. Once only.
  public func wait() -> RunEnd {
    let end = control.wait(until: nil) ?? .stopped
    timers.stop()
    for thread in threads.withLock({ $0 }) { thread.join() }
    return end
  }

  private func keep(_ thread: HostThread) { threads.withLock { $0.append(thread) } }

  /// A processor's thread.
  private func runProcessor(_ id: UInt32) {
    let buses = MachineBuses(ports: board.ports, memory: board.memory, afterWrite: afterWrite)
    do throws(KVMError) {
      let cpu = try machine.makeCPU(id: id)
      try start.prepare(cpu, id: id)
      control.add(cpu.doorbell)
      control.waitForProcessors(start.count)
      while control.end == nil {
        let stop = try cpu.run(handler: buses)
        if let end = try RunEnd(stop, of: cpu, id: id, memory: memory) {
          control.finish(end)
        } else if haltWatch != nil, try HaltWatch.isAsleepForGood(cpu) {
          control.finish(.halted(try ProcessorReport(cpu, id: id, memory: memory)))
        }
      }
    } catch {
      control.finish(.failed(error))
    }
  }
}
