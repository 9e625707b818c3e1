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

/// A machine of the engine with real-mode code at 0x1000.
struct SoftGuest {
  let memory: GuestMemory
  let machine: SoftMachine

  init(
    _ code: [UInt8], memorySize: UInt64 = 1 << 20, processors: Int = 1, hasController: Bool = false
  ) throws {
    memory = try GuestMemory(size: memorySize)
    try memory.write(code, at: 0x1000)
    machine = try SoftHypervisor().makeMachine(memory: memory, processors: processors)
    if hasController { try machine.makeInterruptController() }
  }

  /// The first processor, ready to run the code.
  func start() throws -> SoftCPU {
    let cpu = try machine.makeCPU(id: 0)
    try cpu.setCPUID(SoftHypervisor().supportedCPUID())
    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0)
    try cpu.setSpecialRegisters(special)
    var registers = Registers()
    (registers.rip, registers.rsp) = (0x1000, 0x9000)
    try cpu.setRegisters(registers)
    return cpu
  }
}

/// Remembers what the guest wrote to ports.
final class PortRecorder: ExitHandler {
  var written: [UInt32] = []
  func readPort(_ port: UInt16, size: Int) -> UInt32 { 0x5a }
  func writePort(_ port: UInt16, value: UInt32, size: Int) { written.append(value) }
  func readMemory(_ address: UInt64, size: Int) -> UInt64 { .max }
  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {}
}

/// Nanoseconds of processor time that this thread has used.
func threadTime() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

@Suite struct SoftRunTests {
  @Test func `ports go to the handler`() throws {
    let recorder = PortRecorder()
    // in al, 0x71; inc al; out 0x80, al; hlt
    let cpu = try SoftGuest([0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x80, 0xf4]).start()

    #expect(try cpu.run(handler: recorder) == .halted)

    #expect(recorder.written == [0x5b])
  }

  @Test func `registers come back as they were set`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    var registers = Registers()
    (registers.rax, registers.rbx, registers.rcx, registers.rdx) = (1, 2, 3, 4)
    (registers.rsi, registers.rdi, registers.rsp, registers.rbp) = (5, 6, 7, 8)
    (registers.r8, registers.r15, registers.rip) = (9, 10, 11)
    registers.rflags = [.fixed, .carry, .overflow, .interrupt]
    try cpu.setRegisters(registers)
    #expect(try cpu.registers() == registers)

    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0x1234)
    special.idt = DescriptorTable(base: 0x3000, limit: 0x27)
    special.cr8 = 5
    try cpu.setSpecialRegisters(special)
    #expect(try cpu.specialRegisters() == special)
  }

  @Test func `a triple fault shuts the processor down`() throws {
    let cpu = try SoftGuest([0x0f, 0x0b]).start()  // ud2
    var special = try cpu.specialRegisters()
    special.idt = DescriptorTable(base: 0, limit: 0)
    try cpu.setSpecialRegisters(special)
    #expect(try cpu.run(handler: PortRecorder()) == .shutdown)
  }

  @Test func `a doorbell ends a guest that spins`() throws {
    let cpu = try SoftGuest([0xeb, 0xfe]).start()  // jmp $
    let doorbell = cpu.doorbell
    Thread.detachNewThread {
      usleep(20_000)
      doorbell.ring()
    }
    #expect(try cpu.run(handler: PortRecorder()) == .interrupted)
    #expect(try cpu.registers().rip == 0x1000)
  }

  @Test func `a halted processor sleeps until its interrupt comes`() throws {
    // The first 8259 as firmware sets it up, then: sti; hlt; mov al, 7; out 0x80, al; cli; hlt
    let code: [UInt8] = [
      0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6,
      0x21, 0xb0, 0xef, 0xe6, 0x21, 0xfb, 0xf4, 0xb0, 0x07, 0xe6, 0x80, 0xfa, 0xf4,
    ]
    let guest = try SoftGuest(code, hasController: true)
    // Vector 12 (line 4): iret
    try guest.memory.write([0x00, 0x11, 0, 0], at: 12 * 4)
    try guest.memory.write([0xcf], at: 0x1100)
    let cpu = try guest.start()
    let (machine, doorbell) = (guest.machine, cpu.doorbell)
    Thread.detachNewThread {
      usleep(200_000)
      machine.setInterrupt(4, active: true)
      usleep(200_000)
      doorbell.ring()
    }
    let recorder = PortRecorder()
    let before = threadTime()

    #expect(try cpu.run(handler: recorder) == .interrupted)

    #expect(recorder.written == [7])
    #expect(threadTime() - before < 100_000_000)
  }

  @Test func `an interrupt is injected where there is no controller`() throws {
    // sti; jmp $   with vector 0x21 at 0000:1010: mov al, 5; out 0x10, al; hlt
    let guest = try SoftGuest([0xfb, 0xeb, 0xfe])
    try guest.memory.write([0xb0, 0x05, 0xe6, 0x10, 0xf4], at: 0x1010)
    try guest.memory.write([0x10, 0x10, 0, 0], at: 0x21 * 4)
    let cpu = try guest.start()
    try cpu.inject(interrupt: 0x21)
    let recorder = PortRecorder()
    #expect(try cpu.run(handler: recorder) == .halted)
    #expect(recorder.written == [5])
  }

  @Test func `the second processor waits for its startup message`() throws {
    let guest = try SoftGuest([0xf4], processors: 2, hasController: true)
    // At 0x2000: mov ax, cs; out 0x80, ax; hlt
    try guest.memory.write([0x8c, 0xc8, 0xe7, 0x80, 0xf4], at: 0x2000)
    let (machine, recorder) = (guest.machine, PortRecorder())
    let cpu = try machine.makeCPU(id: 1)
    let doorbell = cpu.doorbell
    Thread.detachNewThread {
      usleep(20_000)
      // Delivery modes 5 and 6, to processor 1.
      machine.signal(MessageInterrupt(address: 0xfee0_1000, data: 0x500))
      machine.signal(MessageInterrupt(address: 0xfee0_1000, data: 0x602))
      usleep(100_000)
      doorbell.ring()
    }
    // As in KVM, INIT ends the run that waited for it.
    #expect(try cpu.run(handler: recorder) == .interrupted)
    #expect(cpu.wasInitialized)
    #expect(try cpu.run(handler: recorder) == .interrupted)
    #expect(!cpu.wasInitialized)
    #expect(recorder.written == [0x200])
  }

  @Test func `each processor is made once`() throws {
    let guest = try SoftGuest([0xf4])
    let cpu = try guest.machine.makeCPU(id: 1)
    #expect(throws: KVMError.self) { try guest.machine.makeCPU(id: 1) }
    withExtendedLifetime(cpu) {}
  }
}

@Suite struct SoftModelSpecificTests {
  @Test func `known registers read, unknown ones are refused`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    let read = try cpu.modelSpecificRegisters([0x10a, 0xfe, 0x2ff, 0xc001_0015])
    #expect(read.map(\.value).allSatisfy { $0 != 0 })
    #expect(throws: KVMError.self) { try cpu.modelSpecificRegisters([0xdead_0000]) }
  }

  @Test func `bits that do not exist are refused or dropped`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x48, 1)])
    #expect(try cpu.modelSpecificRegisters([0x48]).first?.value == 1)
    #expect(throws: KVMError.self) {
      try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x48, 1 << 40)])
    }
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x49, 1)])
    #expect(try cpu.modelSpecificRegisters([0x49]).first?.value == 0)
  }

  @Test func `the guest's adjustment of the counter moves it, and nothing else does`() throws {
    // mov ecx, 0x3b; xor eax, eax; mov edx, 1 << 18; wrmsr; hlt
    let code: [UInt8] = [
      0x66, 0xb9, 0x3b, 0, 0, 0, 0x66, 0x31, 0xc0, 0x66, 0xba, 0, 0, 4, 0, 0x0f, 0x30, 0xf4,
    ]
    let cpu = try SoftGuest(code).start()
    func read(_ number: UInt32) throws -> UInt64 {
      try #require(try cpu.modelSpecificRegisters([number]).first).value
    }
    #expect(try read(0x10) < 1 << 50)
    #expect(try cpu.run(handler: PortRecorder()) == .halted)
    #expect(try read(0x10) > 1 << 50)
    #expect(try read(0x3b) == 1 << 50)
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x10, 0)])
    #expect(try read(0x10) < 1 << 40)
    #expect(try read(0x3b) == 1 << 50)
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x3b, 5)])
    #expect(try read(0x10) < 1 << 40)
    #expect(try read(0x3b) == 5)
  }

  @Test func `KVM's clock maps the counter to nanoseconds`() throws {
    let guest = try SoftGuest([0xf4])
    let cpu = try guest.start()
    usleep(50_000)
    try cpu.setModelSpecificRegisters([
      ModelSpecificRegister(0x4b56_4d01, 0x5001), ModelSpecificRegister(0x4b56_4d00, 0x6000),
    ])

    let version = try guest.memory.load(UInt32.self, at: 0x5000)
    #expect(version != 0 && version & 1 == 0)
    #expect(try guest.memory.load(UInt8.self, at: 0x501d) == 1)
    let stamp = try guest.memory.load(UInt64.self, at: 0x5008)
    let time = try guest.memory.load(UInt64.self, at: 0x5010)
    let factor = try guest.memory.load(UInt32.self, at: 0x5018)
    let shift = Int8(bitPattern: try guest.memory.load(UInt8.self, at: 0x501c))
    // The machine is as old by its counter as by the host's clock.
    let scaled = Double(stamp) * pow(2, Double(shift)) * Double(factor) / 4_294_967_296
    #expect(abs(scaled - Double(time)) < 5_000_000)
    #expect(time > 40_000_000 && time < 20_000_000_000)
    let seconds = try guest.memory.load(UInt32.self, at: 0x6004)
    #expect(abs(Date().timeIntervalSince1970 - Double(seconds)) < 30)
  }

  @Test func `KVM's clock follows the counter when that is written`() throws {
    let guest = try SoftGuest([0xf4])
    let cpu = try guest.start()
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x4b56_4d01, 0x5001)])
    try cpu.setModelSpecificRegisters([ModelSpecificRegister(0x10, 1 << 60)])
    // The page has what the counter was when the clock was first shown, a moment before.
    #expect(try guest.memory.load(UInt64.self, at: 0x5008) > 1 << 59)
    #expect(try guest.memory.load(UInt32.self, at: 0x5000) == 4)
  }

  @Test(arguments: [UInt64.max, 0xfffff, 0xffff_ffff_ffff_fff1, 0x1_0000_0001])
  func `KVM's clock outside RAM harms nobody`(address: UInt64) throws {
    let cpu = try SoftGuest([0xf4]).start()
    for number in [UInt32(0x4b56_4d01), 0x4b56_4d00, 0x11, 0x12] {
      try cpu.setModelSpecificRegisters([ModelSpecificRegister(number, address)])
      #expect(try cpu.modelSpecificRegisters([number]).first?.value == address)
    }
  }

  @Test func `CPUID has what the engine can do, and nothing it cannot`() throws {
    let entries = try SoftHypervisor().supportedCPUID()
    let structured = try #require(entries.first { $0.leaf == 7 })
    #expect(structured.ebx & 0xdc23_0000 == 0)  // AVX-512
    let standard = try #require(entries.first { $0.leaf == 1 })
    #expect(standard.ecx & (1 << 3 | 1 << 5) == 0)  // MONITOR, VMX
    #expect(standard.ecx >> 31 == 1)  // a hypervisor
    #expect(entries.contains { $0.leaf == 0x4000_0000 && $0.ebx == 0x4b4d_564b })
  }
}
