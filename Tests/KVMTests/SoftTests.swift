import Foundation
import GuestMemory
import KVM
import KVMSoft
import Synchronization
import Testing
import X86

/// Rings a doorbell when a guest takes too long.
final class Watchdog: Sendable {
  let isExpired = Atomic(false)
  let isOver = Atomic(false)

  func watch(_ doorbell: any Doorbell, seconds: Double = 10) {
    Thread.detachNewThread {
      let deadline = Date(timeIntervalSinceNow: seconds)
      while Date() < deadline, !self.isOver.load(ordering: .relaxed) { usleep(10_000) }
      self.isExpired.store(true, ordering: .relaxed)
      doorbell.ring()
    }
  }
}

@Suite struct SoftTests {
  @Test(arguments: TinyGuest.all.map(\.name))
  func `a tiny guest does on the engine what a processor does`(name: String) throws {
    let guest = try #require(TinyGuest.all.first { $0.name == name })
    let watchdog = Watchdog()
    let verdict = guest.run(
      on: SoftHypervisor(), watch: { watchdog.watch($0) },
      isExpired: { watchdog.isExpired.load(ordering: .relaxed) })
    watchdog.isOver.store(true, ordering: .relaxed)
    #expect(verdict == .passed)
  }
}
