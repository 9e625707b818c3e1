import ExampleSupport
import GuestMemory
import KVM
import X86

/// A guest in 32-bit protected mode with flat segments, as boot loaders leave it.
@main
struct ProtectedMode: Example {
  static let code: [UInt8] = [
    0xbe, 0x19, 0x00, 0x00, 0x00,  // mov esi, text
    0xac,  // next: lodsb
    0x84, 0xc0,  // test al, al
    0x74, 0x04,  // jz done
    0xe6, 0xe9,  // out 0xe9, al
    0xeb, 0xf7,  // jmp next
    0xb8, 0x2a, 0x00, 0x00, 0x00,  // done: mov eax, 42
    0xa3, 0x00, 0x04, 0x00, 0x00,  // mov [0x400], eax
    0xf4,  // hlt
  ]

  static func run(on hypervisor: some Hypervisor) throws {
    let memory = try GuestMemory(size: 2 << 20)
    try memory.write(code + "Hello, world!\n\0".utf8, at: 0)
    let machine = try hypervisor.makeMachine(memory: memory)
    let cpu = try machine.makeCPU(id: 0)

    // The hidden parts of the segment registers are what counts; no descriptor table is needed
    // until the guest loads a segment by itself.
    var special = try cpu.specialRegisters()
    special.cs = .flatCode32(selector: 0x08)
    special.setData(.flatData(selector: 0x10))
    special.cr0.insert(.protection)
    try cpu.setSpecialRegisters(special)
    try cpu.setRegisters(Registers())

    let stop = try cpu.run(handler: Console())
    try verify(stop, cpu, memory)
  }
}
