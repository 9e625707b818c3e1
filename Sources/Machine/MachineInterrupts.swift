import DeviceModel
import KVM
import Synchronization

/// A machine's interrupt lines, on the hypervisor's interrupt controllers.
final class MachineInterrupts<VM: VirtualMachine>: InterruptLines, MessageInterrupts {
  private let machine: VM
  /// How many wires of each line are asserted.
  private let asserted = Mutex<[Int: Int]>([:])

  init(_ machine: VM) { self.machine = machine }

  func line(_ number: Int) -> any InterruptLine { Wire(line: number, interrupts: self) }

  /// Messages need no line: they go straight to a local APIC.
  func send(address: UInt64, data: UInt32) {
    machine.signal(MessageInterrupt(address: address, data: data))
  }

  /// One wire changed. The controller is told under the lock, so that levels arrive in order.
  fileprivate func change(_ line: Int, by step: Int) {
    asserted.withLock { asserted in
      let before = asserted[line, default: 0]
      let after = before + step
      asserted[line] = after
      if (before > 0) != (after > 0) {
        machine.setInterrupt(UInt32(truncatingIfNeeded: line), active: after > 0)
      }
    }
  }

  /// One device's connection to a line.
  private final class Wire: InterruptLine {
    private let line: Int
    private let interrupts: MachineInterrupts
    private let level = Atomic(false)

    init(line: Int, interrupts: MachineInterrupts) {
      (self.line, self.interrupts) = (line, interrupts)
    }

    func set(_ isAsserted: Bool) {
      guard level.exchange(isAsserted, ordering: .acquiringAndReleasing) != isAsserted else {
        return
      }
      interrupts.change(line, by: isAsserted ? 1 : -1)
    }
  }
}
