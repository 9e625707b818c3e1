import Foundation
import KVM
import Machine
import Testing

@Suite struct BareMachineTests {
  /// How a bare guest's run ends on a processor that follows `script`, and what it printed.
  private func run(
    _ script: [ScriptedHypervisor.Step], startInfo: Bool = false
  ) throws -> (end: RunEnd, console: [String], machine: ScriptedMachine) {
    let file = FileManager.default.temporaryDirectory.appending(path: "bare-\(UUID().uuidString)")
    try Data([0xf4]).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    var configuration = BareConfiguration(program: file.path)
    configuration.memory = .mebibytes(2)
    configuration.hasStartInfo = startInfo
    let console = ConsoleLog()
    var connections = MachineConnections()
    connections.outputs["console"] = console
    let hypervisor = ScriptedHypervisor(script)
    let machine = try RunningMachine.bare(configuration, on: hypervisor, connections: connections)
    try machine.run()
    return (machine.wait(), console.lastLines(.max), hypervisor.machine)
  }

  @Test func `every byte of a write to the console port is printed`() throws {
    let (end, console, _) = try run([
      .write(0xe9, 0x6c65_6548, size: 4), .write(0xe9, 0x6f, size: 1), .write(0xf4, 7, size: 1),
    ])
    #expect(console == ["Heelo"])
    #expect(end == .exited(7))
  }

  @Test func `a halt ends the run, with the registers`() throws {
    guard case .halted(let report) = try run([.stop(.halted)]).end else {
      Issue.record("another end")
      return
    }
    #expect(report.registers.rip == 0)
    #expect(report.code.first == 0xf4)
  }

  @Test func `a machine with a start structure begins with its address`() throws {
    guard case .crashed(let report) = try run([.stop(.shutdown)], startInfo: true).end else {
      Issue.record("another end")
      return
    }
    #expect(report.registers.rbx == 0x6000)
    #expect(report.registers.rax == 0x5355_5041)
    #expect(report.registers.rip == 0x10_0000)
  }

  @Test func `a program that is not there is refused`() {
    #expect(throws: MachineError.self) {
      _ = try RunningMachine.bare(
        BareConfiguration(program: "/nonexistent"), on: ScriptedHypervisor([]),
        connections: MachineConnections())
    }
  }
}
