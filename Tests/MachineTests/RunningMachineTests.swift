import DeviceModel
import GuestMemory
import Host
import KVM
import Machine
import Testing

@Suite struct RunningMachineTests {
  /// What a machine that follows `script` writes to its console, and how its run ends.
  private func run(
    _ script: [ScriptedHypervisor.Step], console: ConsoleLog = ConsoleLog(), stopping: Bool = false
  ) throws -> (end: RunEnd, machine: ScriptedMachine) {
    let memory = try GuestMemory(size: 16 << 20)
    let hypervisor = ScriptedHypervisor(script)
    var connections = MachineConnections()
    connections.outputs["com1"] = console
    let initial = try tinyKernel(in: memory)
    let machine = try RunningMachine(
      MachineShape(devices: .pc, processors: 1), on: hypervisor, memory: memory,
      connections: connections
    ) { _ in initial }
    try machine.run()
    if stopping { machine.stop() }
    return (machine.wait(), hypervisor.machine)
  }

  @Test func `what the guest writes to its serial port arrives at the console`() throws {
    let console = ConsoleLog()

    let (end, _) = try run(
      [.write(0x3f8, 0x48, size: 1), .write(0x3f8, 0x69, size: 1), .stop(.systemEvent(.powerOff))],
      console: console)

    #expect(end == .poweredOff)
    #expect(console.lastLines(5) == ["Hi"])
  }

  @Test func `ports that nobody owns read as ones`() throws {
    let (_, machine) = try run([
      .read(0x1234, size: 1), .read(0x1234, size: 2), .read(0x1234, size: 4),
      .stop(.systemEvent(.powerOff)),
    ])

    #expect(machine.seen.withLock { $0 } == [0xff, 0xffff, 0xffff_ffff])
  }

  @Test func `a triple fault ends the run with the registers`() throws {
    let (end, _) = try run([.stop(.shutdown)])

    guard case .crashed(let report) = end else {
      Issue.record("ended with \(end)")
      return
    }
    #expect(report.registers.rip == 0x20_0000)
    #expect(report.specialRegisters.cr3 != 0)
  }

  @Test func `an end asked for from outside stops a processor in its run`() throws {
    let (end, _) = try run([.sleep, .sleep, .sleep], stopping: true)
    #expect(end == .stopped)
  }

  @Test func `a spurious interruption does not end the run`() throws {
    let (end, _) = try run([.stop(.interrupted), .stop(.systemEvent(.reset))])
    #expect(end == .reset)
  }

  @Test(arguments: [Stop.unknown(reason: 77), .internalError(.emulation)])
  func `a stop that no guest should cause ends the run as such, with the registers`(
    stop: Stop
  ) throws {
    guard case .unexpected(stop, let report) = try run([.stop(stop)]).end else {
      Issue.record("another end")
      return
    }
    #expect(report.registers.rip == 0x20_0000)
  }

  @Test func `a halt that nothing can end is the end of the run`() throws {
    guard case .halted = try run([.stop(.halted)]).end else {
      Issue.record("another end")
      return
    }
  }

  @Test func `a failure of the hypervisor ends the run`() throws {
    let error = KVMError.refused(call: "KVM_RUN", errno: 14)
    #expect(try run([.fail(error)]).end == .failed(error))
  }
}
