import ExampleSupport
import GuestMemory
import KVM

/// A guest in 16-bit real mode, where every PC begins.
@main
struct RealMode: Example {
  static let code: [UInt8] = [
    0xbe, 0x13, 0x00,  // mov si, text
    0xac,  // next: lodsb
    0x84, 0xc0,  // test al, al
    0x74, 0x04,  // jz done
    0xe6, 0xe9,  // out 0xe9, al
    0xeb, 0xf7,  // jmp next
    0xb8, 0x2a, 0x00,  // done: mov ax, 42
    0xa3, 0x00, 0x04,  // mov [0x400], ax
    0xf4,  // hlt
  ]

  static func run(on hypervisor: some Hypervisor) throws {
    // A machine is memory and processors. Its memory is ours: we can write to it at any time.
    let memory = try GuestMemory(size: 2 << 20)
    try memory.write(code + "Hello, world!\n\0".utf8, at: 0)
    let machine = try hypervisor.makeMachine(memory: memory)
    let cpu = try machine.makeCPU(id: 0)

    // After reset a processor would begin in ROM, 16 bytes below 4 GiB; ours begins at 0.
    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0)
    try cpu.setSpecialRegisters(special)
    try cpu.setRegisters(Registers())

    // Runs until HLT; what the guest writes to ports goes to the console on the way.
    let stop = try cpu.run(handler: Console())
    try verify(stop, cpu, memory)
  }
}
