import Glibc
import KVM
import Testing
import X86

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine, Backend.Machine.CPU: ExitingCPU
{
  static var running: [Check] {
    [
      Check("string output arrives in order, however many elements an exit has") { backend in
        // cld; mov cx, 3; mov si, 0x1080; mov dx, 0x80; rep outsb; hlt
        let guest = try RealGuest(
          backend, [0xfc, 0xb9, 3, 0, 0xbe, 0x80, 0x10, 0xba, 0x80, 0, 0xf3, 0x6e, 0xf4])
        guest.memory.write([7, 8, 9], at: 0x1080)
        var values: [UInt32] = []
        while case .portWrite(0x80, _, size: 1, let count) = try guest.run() {
          values += (0..<count).map { guest.cpu.portElement($0, 1) }
        }
        #expect(values == [7, 8, 9])
      },
      Check("a rung doorbell completes the access that ended the last run") { backend in
        // in al, 0x71; inc al; hlt
        let guest = try RealGuest(backend, [0xe4, 0x71, 0xfe, 0xc0, 0xf4])
        #expect(try guest.run() == .portRead(0x71, size: 1))
        guest.cpu.answer(0x41)
        guest.cpu.doorbell.ring()
        #expect(try guest.cpu.run() == .stopped(.interrupted))
        let registers = try guest.cpu.registers()
        #expect(registers.rax & 0xff == 0x41 && registers.rip == 0x1002)
        #expect(try guest.run() == .stopped(.halted))
        #expect(try guest.cpu.registers().rax & 0xff == 0x42)
      },
      Check("an interrupt is taken when its window opens") { backend in
        // sti; nop; jmp $-1
        let guest = try RealGuest(
          backend, [0xfb, 0x90, 0xeb, 0xfd], handlers: [0x21: [0xb0, 5, 0xe6, 0x10, 0xf4]])
        guest.cpu.requestInterruptWindow(true)
        #expect(try guest.run() == .stopped(.interruptWindow))
        #expect(guest.cpu.status.isReadyForInterrupt && guest.cpu.status.interruptFlag)
        guest.cpu.requestInterruptWindow(false)
        try guest.cpu.inject(interrupt: 0x21)
        #expect(try guest.run() == .portWrite(0x10, value: 5, size: 1))
      },
      Check("a guest that cannot handle a fault is shut down") { backend in
        let guest = try RealGuest(backend, [0x0f, 0x0b])  // ud2
        var special = try guest.cpu.specialRegisters()
        special.idt = DescriptorTable(base: 0, limit: 0)
        try guest.cpu.setSpecialRegisters(special)
        #expect(try guest.run() == .stopped(.shutdown))
      },
      Check("special registers that no processor has are refused") { backend in
        let guest = try RealGuest(backend, [0xf4])
        var special = try guest.cpu.specialRegisters()
        special.cr0.insert(.paging)
        #expect(refusal { try guest.cpu.setSpecialRegisters(special) } == EINVAL)
      },
      Check("a guest goes on in another machine, whatever the mode") { backend in
        try moveGuest(backend, counter16) { _ in }
        try moveGuest(backend, counter32) { special in
          special.cr0.insert(.protection)
          special.cs = .flatCode32(selector: 8)
          special.setData(.flatData(selector: 0x10))
        }
      },
    ]
  }

  /// xor bx, bx; again: inc bx; mov [0x2000], bx; cmp bx, 500; jne +2; out 0x10, al;
  /// cmp bx, 1000; jne again; mov ax, bx; out 0x80, ax; hlt
  private static var counter16: [UInt8] {
    [
      0x31, 0xdb, 0x43, 0x89, 0x1e, 0x00, 0x20, 0x81, 0xfb, 0xf4, 0x01, 0x75, 0x02, 0xe6, 0x10,
      0x81, 0xfb, 0xe8, 0x03, 0x75, 0xed, 0x89, 0xd8, 0xe7, 0x80, 0xf4,
    ]
  }

  /// The same in 32-bit code.
  private static var counter32: [UInt8] {
    [
      0x31, 0xdb, 0x43, 0x89, 0x1d, 0x00, 0x20, 0, 0, 0x81, 0xfb, 0xf4, 0x01, 0, 0, 0x75, 0x02,
      0xe6, 0x10, 0x81, 0xfb, 0xe8, 0x03, 0, 0, 0x75, 0xe7, 0x89, 0xd8, 0xe7, 0x80, 0xf4,
    ]
  }

  private static func moveGuest(
    _ backend: Backend, _ code: [UInt8], mode: (inout SpecialRegisters) -> Void
  ) throws {
    let (first, second) = (try RealGuest(backend, code), try RealGuest(backend, [0xf4]))
    var special = try first.cpu.specialRegisters()
    mode(&special)
    try first.cpu.setSpecialRegisters(special)
    guard case .portWrite(0x10, _, _, _) = try first.run() else {
      Issue.record("the guest did not come to its middle")
      return
    }
    first.cpu.doorbell.ring()
    #expect(try first.cpu.run() == .stopped(.interrupted))
    second.memory.base.copyMemory(from: first.memory.base, byteCount: first.memory.size)
    try second.cpu.setSpecialRegisters(first.cpu.specialRegisters())
    try second.cpu.setRegisters(first.cpu.registers())
    guard case .portWrite(0x80, let value, _, _) = try second.run() else {
      Issue.record("the guest did not come to its end")
      return
    }
    #expect(value & 0xffff == 1000)
    #expect(second.memory[0x2000] == 0xe8 && first.memory[0x2000] == 0xf4)
  }
}
