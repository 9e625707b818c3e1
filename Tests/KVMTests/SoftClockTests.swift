import KVM
import KVMSoft
import Testing

@Suite struct SoftClockTests {
  @Test func `all processors' clocks count from one moment`() throws {
    let guest = try RealGuest(SoftHypervisor(), [0xf4])
    let other = try guest.machine.makeCPU(id: 1)
    let systemTime: UInt32 = 0x4b56_4d01
    for (cpu, address) in [(guest.cpu, UInt64(0x2000)), (other, 0x2040)] {
      #expect(try cpu.writeModelSpecific([ModelSpecificRegister(systemTime, address | 1)]) == 1)
    }
    // The counter and the nanoseconds that belong to it.
    for offset in [8, 16] {
      let first = guest.memory.base.load(fromByteOffset: 0x2000 + offset, as: UInt64.self)
      let second = guest.memory.base.load(fromByteOffset: 0x2040 + offset, as: UInt64.self)
      #expect(first == second && first != 0)
    }
  }
}
