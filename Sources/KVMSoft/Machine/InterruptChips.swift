import Chipset
import DeviceModel
import Host
import KVM
import KVMABI
import Synchronization

/// The interrupt controllers of a machine, the buses they are on, and the thread of their timers
/// and eventfds.
final class InterruptChips: Sendable {
  let controller: InterruptController
  let ports = Bus()
  let memory = Bus()
  let thread: MachineThread
  /// Whether there is an 8254.
  let hasTimer = Atomic(false)

  /// - Parameter outsidePins: leaves all but the local APICs to the client.
  init(outsidePins: Int? = nil) throws(KVMError) {
    thread = try refusing { () throws(SystemError) in try MachineThread() }
    controller = InterruptController(
      clock: SystemClock(), timers: thread.queue, outsidePins: outsidePins)
    if outsidePins == nil {
      do throws(AttachError) {
        try controller.attach(ports: ports, memory: memory)
      } catch {
        preconditionFailure("the interrupt controllers' addresses overlap: \(error)")
      }
    }
  }

  /// Adds the 8254; returns `false` when there is one.
  func makeTimer(hasSpeaker: Bool) -> Bool {
    guard !hasTimer.exchange(true, ordering: .relaxed) else { return false }
    do throws(AttachError) {
      try controller.attachTimer(ports: ports, hasSpeaker: hasSpeaker)
    } catch {
      preconditionFailure("the timer's ports overlap: \(error)")
    }
    return true
  }

  /// Ends the thread.
  func stop() { thread.stop() }
}
