import GuestMemory
import Host
import KVM

/// A hypervisor whose processor does what a script says instead of running guest code.
struct ScriptedHypervisor: Hypervisor {
  enum Step: Sendable {
    case write(UInt16, UInt32, size: Int)
    case read(UInt16, size: Int)
    /// Waits for the doorbell.
    case sleep
    case stop(Stop)
    case fail(KVMError)
  }

  static let name = "scripted"
  let machine: ScriptedMachine

  init(_ script: [Step]) { machine = ScriptedMachine(script) }

  func supportedCPUID() throws(KVMError) -> [CPUIDEntry] { [] }
  func makeMachine(
    memory: GuestMemory, processors: Int
  ) throws(KVMError) -> ScriptedMachine { machine }
}

final class ScriptedMachine: VirtualMachine {
  let script: [ScriptedHypervisor.Step]
  let seen = Monitor<[UInt32]>([])
  let lines = Monitor<[String]>([])

  init(_ script: [ScriptedHypervisor.Step]) { self.script = script }

  func makeInterruptController() throws(KVMError) {}
  func makeTimer() throws(KVMError) {}
  func makeCPU(id: UInt32) throws(KVMError) -> ScriptedCPU { ScriptedCPU(self) }
  func setInterrupt(_ line: UInt32, active: Bool) {
    lines.withLock { $0.append("\(line) \(active ? "up" : "down")") }
  }
  func signal(_ message: MessageInterrupt) -> Bool { false }
}

final class ScriptedCPU: VirtualCPU {
  final class Bell: Doorbell {
    let isRung = Monitor(false)
    func ring() { isRung.change { $0 = true } }
  }

  private let machine: ScriptedMachine
  private let bell = Bell()
  private var next = 0
  private var general = Registers()
  private var special = SpecialRegisters()

  init(_ machine: ScriptedMachine) { self.machine = machine }

  var doorbell: any Doorbell { bell }

  func run(handler: some ExitHandler) throws(KVMError) -> Stop {
    while next < machine.script.count {
      if bell.isRung.withLock({ $0 }) { return .interrupted }
      let step = machine.script[next]
      next += 1
      switch step {
      case .write(let port, let value, let size):
        handler.writePort(port, value: value, size: size)
      case .read(let port, let size):
        let value = handler.readPort(port, size: size)
        machine.seen.withLock { $0.append(value) }
      case .sleep: _ = bell.isRung.wait { $0 ? true : nil }
      case .stop(let stop): return stop
      case .fail(let error): throw error
      }
    }
    _ = bell.isRung.wait { $0 ? true : nil }
    return .interrupted
  }

  func registers() throws(KVMError) -> Registers { general }
  func setRegisters(_ registers: Registers) throws(KVMError) { general = registers }
  func specialRegisters() throws(KVMError) -> SpecialRegisters { special }
  func setSpecialRegisters(_ registers: SpecialRegisters) throws(KVMError) { special = registers }
  func modelSpecificRegisters(
    _ numbers: [UInt32]
  ) throws(KVMError) -> [ModelSpecificRegister] { [] }
  func setModelSpecificRegisters(_ registers: [ModelSpecificRegister]) throws(KVMError) {}
  func setCPUID(_ entries: [CPUIDEntry]) throws(KVMError) {}
  func inject(interrupt vector: UInt8) throws(KVMError) {}
}
