import ExampleSupport
import GuestMemory
import KVM
import X86

/// A guest in 32-bit protected mode with paging: one page of 4 MiB (PSE).
@main
struct PagedMode: Example {
  static let code: [UInt8] = [
    0xbe, 0x19, 0x00, 0x40, 0x00,  // mov esi, text
    0xac,  // next: lodsb
    0x84, 0xc0,  // test al, al
    0x74, 0x04,  // jz done
    0xe6, 0xe9,  // out 0xe9, al
    0xeb, 0xf7,  // jmp next
    0xb8, 0x2a, 0x00, 0x00, 0x00,  // done: mov eax, 42
    0xa3, 0x00, 0x04, 0x40, 0x00,  // mov [0x400400], eax
    0xf4,  // hlt
  ]
  static let directory: UInt64 = 0x2000
  /// Where the guest sees its memory: not where it lies, to show that paging is on.
  static let base: UInt64 = 0x40_0000

  static func run(on hypervisor: some Hypervisor) throws {
    let memory = try GuestMemory(size: 4 << 20)
    try memory.write(code + "Hello, world!\n\0".utf8, at: 0)
    // Entry 1 maps 0x400000 to 0: present, writable, large.
    try memory.store(UInt32(0x83), at: directory + 4)
    let machine = try hypervisor.makeMachine(memory: memory)
    let cpu = try machine.makeCPU(id: 0)

    var special = try cpu.specialRegisters()
    special.cs = .flatCode32(selector: 0x08)
    special.setData(.flatData(selector: 0x10))
    special.cr3 = directory
    special.cr4 = .pageSizeExtensions
    special.cr0.formUnion([.protection, .paging])
    try cpu.setSpecialRegisters(special)
    var registers = Registers()
    registers.rip = base
    try cpu.setRegisters(registers)

    let stop = try cpu.run(handler: Console())
    try verify(stop, cpu, memory)
  }
}
