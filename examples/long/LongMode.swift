import ExampleSupport
import GuestMemory
import KVM
import X86

/// A guest in 64-bit mode, which needs four levels of page tables: here one page of 2 MiB.
@main
struct LongMode: Example {
  static let code: [UInt8] = [
    0x48, 0x8d, 0x35, 0x19, 0x00, 0x00, 0x00,  // lea rsi, [rip + text]
    0xac,  // next: lodsb
    0x84, 0xc0,  // test al, al
    0x74, 0x04,  // jz done
    0xe6, 0xe9,  // out 0xe9, al
    0xeb, 0xf7,  // jmp next
    0xb8, 0x2a, 0x00, 0x00, 0x00,  // done: mov eax, 42
    0x48, 0xa3, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // mov [0x400], rax
    0xf4,  // hlt
  ]

  static func run(on hypervisor: some Hypervisor) throws {
    let memory = try GuestMemory(size: 2 << 20)
    try memory.write(code + "Hello, world!\n\0".utf8, at: 0)
    // Each table's first entry leads to the next one; the last maps 2 MiB at 0 to themselves.
    try memory.store(UInt64(0x3000 | 0x3), at: 0x2000)
    try memory.store(UInt64(0x4000 | 0x3), at: 0x3000)
    try memory.store(UInt64(0x83), at: 0x4000)
    let machine = try hypervisor.makeMachine(memory: memory)
    let cpu = try machine.makeCPU(id: 0)

    var special = try cpu.specialRegisters()
    special.cs = .flatCode64(selector: 0x08)
    special.setData(.flatData(selector: 0x10))
    special.cr3 = 0x2000
    special.cr4 = .physicalAddressExtension
    special.efer = [.longModeEnable, .longModeActive]
    special.cr0.formUnion([.protection, .paging])
    try cpu.setSpecialRegisters(special)
    try cpu.setRegisters(Registers())

    let stop = try cpu.run(handler: Console())
    try verify(stop, cpu, memory)
  }
}
