import Foundation
import KVM
import KVMSoft
import Testing

/// Processors of the engine, as the machine counts them and as they count.
@Suite struct SoftProcessorTests {
  @Test func `a processor that could not be made leaves its number free`() async {
    await #expect(processExitsWith: .success) {
      let machine = try SoftHypervisor().makeMachine()
      try machine.makeInterruptController()
      var own = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &own)
      // Room for what is small, none for translated code.
      let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        .split(separator: " ").first.flatMap { rlim_t($0) }
      var tight = own
      tight.rlim_cur = try #require(pages) * 4096 + 8 << 20
      setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &tight)
      #expect(throws: KVMError.self) { _ = try machine.makeCPU(id: 1) }
      setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &own)
      _ = try machine.makeCPU(id: 1)
    }
  }

  @Test func `what the guest is immune to, it is told by whatever client`() throws {
    // mov eax, 7; mov ecx, 2; cpuid; out 0x80, al; mov ecx, 0x10a; rdmsr; out 0x81, al
    let code: [UInt8] = [
      0x66, 0xb8, 7, 0, 0, 0, 0x66, 0xb9, 2, 0, 0, 0, 0x0f, 0xa2, 0xe6, 0x80,
      0x66, 0xb9, 0x0a, 1, 0, 0, 0x0f, 0x32, 0xe6, 0x81,
    ]
    let cpu = try SoftGuest(code).start()
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x10a, 0x2b)])
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    #expect(try cpu.registers().rdx == 1 << 4)
    guard case .portWrite(0x81, _, _, _) = try cpu.run() else {
      Issue.record("no RDMSR")
      return
    }
    // RDCL_NO to MDS_NO; ITS_NO.
    #expect(try cpu.registers().rax & 0x3b == 0x3b)
    #expect(try cpu.registers().rdx >> 30 & 1 == 1)
    let mask = try #require(try cpu.modelSpecificRegisters([0x10a]).first?.value)
    #expect(mask == (try cpu.registers().rdx << 32 | cpu.registers().rax))
  }

  @Test func `only interrupts that came are counted`() throws {
    // out 0x80, al; out 0x81, al; iret at 0x1100
    let guest = try SoftGuest([0xe6, 0x80, 0xe6, 0x81])
    try guest.memory.write([0x00, 0x11, 0, 0], at: 0x20 * 4)
    try guest.memory.write([0xcf], at: 0x1100)
    let cpu = try guest.start()
    func count() throws -> [UInt64]? {
      try cpu.statistics().first { $0.name == "irq_injections" }?.values
    }
    var registers = try cpu.registers()
    registers.rflags.insert(.interrupt)
    try cpu.setRegisters(registers)
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    #expect(try count() == [0])
    try cpu.inject(interrupt: 0x20)
    #expect(try cpu.run() == .portWrite(0x81, value: 0, size: 1))
    #expect(try count() == [1])
  }
}
