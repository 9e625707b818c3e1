import GuestMemory
import KVM
import KVMLinux
import Synchronization
import Testing
import X86

/// The host's KVM, where there is one that makes machines at all.
let hostKVM: KernelHypervisor? = {
  let probe = HostProbe.result
  return probe.device == .usable ? try? KernelHypervisor() : nil
}()

@Suite(.enabled(if: hostKVM != nil, "this host has no usable /dev/kvm"))
struct KernelTests {
  /// A machine with code at 0x1000, in real mode.
  func machine(_ code: [UInt8]) throws -> KernelMachine {
    let memory = try GuestMemory(size: 1 << 20)
    try memory.write(code, at: 0x1000)
    return try #require(hostKVM).makeMachine(memory: memory)
  }

  func start(_ cpu: KernelCPU) throws {
    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0)
    try cpu.setSpecialRegisters(special)
    var registers = Registers()
    registers.rip = 0x1000
    registers.rsp = 0x9000
    try cpu.setRegisters(registers)
  }

  @Test func `registers come back as they were set`() throws {
    let cpu = try machine([0xf4]).makeCPU(id: 0)
    var registers = Registers()
    (registers.rax, registers.rbx, registers.r15) = (1, 2, 0x1234_5678_9abc_def0)
    registers.rip = 0x4321
    try cpu.setRegisters(registers)
    #expect(try cpu.registers() == registers)

    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0x1234)
    special.gdt = DescriptorTable(base: 0x3000, limit: 0x27)
    special.pendingInterrupt = 0x41
    try cpu.setSpecialRegisters(special)
    let read = try cpu.specialRegisters()
    #expect(read.cs.base == 0x12340)
    #expect(read.gdt == special.gdt)
    #expect(read.pendingInterrupt == 0x41)
  }

  @Test func `string output arrives in order, however many elements an exit has`() throws {
    // cld; mov cx, 3; mov si, 0x1100; mov dx, 0x80; rep outsb; hlt
    let code: [UInt8] = [
      0xfc, 0xb9, 3, 0, 0xbe, 0x00, 0x11, 0xba, 0x80, 0, 0xf3, 0x6e, 0xf4,
    ]
    let cpu = try machine(code + [UInt8](repeating: 0, count: 0x100 - code.count) + [7, 8, 9])
      .makeCPU(id: 0)
    try start(cpu)
    var values: [UInt32] = []
    while case .portWrite(0x80, let value, size: 1, let count) = try cpu.run() {
      #expect(cpu.portElement(0, 1) == value)
      values += (0..<count).map { cpu.portElement($0, 1) }
    }
    #expect(values == [7, 8, 9])
  }

  @Test func `string input is one exit that takes every element`() throws {
    // cld; mov cx, 2; mov di, 0x2000; mov dx, 0x80; rep insw; hlt
    let memory = try GuestMemory(size: 1 << 20)
    try memory.write(
      [0xfc, 0xb9, 2, 0, 0xbf, 0, 0x20, 0xba, 0x80, 0, 0xf3, 0x6d, 0xf4], at: 0x1000)
    let cpu = try #require(hostKVM).makeMachine(memory: memory).makeCPU(id: 0)
    try start(cpu)
    #expect(try cpu.run() == .portRead(0x80, size: 2, count: 2))
    cpu.setPortElement(0, 2, 0x1111)
    cpu.setPortElement(1, 2, 0x2222)
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try memory.load(UInt32.self, at: 0x2000) == 0x2222_1111)
  }

  @Test func `a doorbell rung before the run ends it at once`() throws {
    let cpu = try machine([0xeb, 0xfe]).makeCPU(id: 0)  // jmp $
    try start(cpu)
    cpu.doorbell.ring()
    #expect(try cpu.run() == .stopped(.interrupted))
  }

  @Test func `an interrupt is taken when its window opens`() throws {
    // sti; nop; jmp $-1   with vector 0x21 at 0000:1010: mov al, 5; out 0x10, al
    let memory = try GuestMemory(size: 1 << 20)
    try memory.write([0xfb, 0x90, 0xeb, 0xfd], at: 0x1000)
    try memory.write([0xb0, 0x05, 0xe6, 0x10], at: 0x1010)
    try memory.write([0x10, 0x10, 0, 0], at: 0x21 * 4)
    let cpu = try #require(hostKVM).makeMachine(memory: memory).makeCPU(id: 0)
    try start(cpu)
    cpu.requestInterruptWindow(true)
    #expect(try cpu.run() == .stopped(.interruptWindow))
    cpu.requestInterruptWindow(false)
    try cpu.inject(interrupt: 0x21)
    #expect(try cpu.run() == .portWrite(0x10, value: 5, size: 1))
  }

  @Test func `a register that KVM does not know is named`() throws {
    let cpu = try machine([0xf4]).makeCPU(id: 0)
    #expect(throws: KVMError.self) { try cpu.modelSpecificRegisters([0x10, 0xdead_0000]) }
  }
}

@Suite struct HostProbeTests {
  @Test func `a missing device is told from one without a driver`() {
    #expect(HostProbe(.linux, path: "/nonexistent/kvm").device == .missing)
    #expect(HostProbe(.linux, path: "/dev/null").device == .withoutDriver)
  }

  @Test(.enabled(if: hostKVM != nil, "this host has no usable /dev/kvm"))
  func `a complete probe tries every guest`() {
    let probe = HostProbe(.all)
    #expect(probe.checks.map(\.guest.name) == TinyGuest.all.map(\.name))
    #expect(Set(probe.checks.map(\.guest.name)).count == probe.checks.count)
  }

  @Test func `whatever is wrong has a reason`() {
    for device in [KVMDeviceState.missing, .denied, .withoutDriver, .busy] {
      #expect(device.reason != nil)
      #expect(device.cure != nil)
    }
    let probe = HostProbe.result
    #expect(probe.canRunStockKernel == (probe.reason == nil))
  }

  @Test func `processors are told apart in CPUID`() {
    let entries = [
      CPUIDEntry(1, nil, (0, 0x800, 0, 0)), CPUIDEntry(0xb, 1, (0, 0, 0, 0)),
      CPUIDEntry(7, 0, (1, 2, 3, 4)),
    ]
    let third = entries.describing(cpu: 2, of: 3)
    #expect(third[0].ebx == 0x0203_0800)
    #expect(third[0].edx == 1 << 28)
    #expect((third[1].eax, third[1].ebx, third[1].edx) == (2, 3, 2))
    #expect(third[2] == entries[2])
  }
}
