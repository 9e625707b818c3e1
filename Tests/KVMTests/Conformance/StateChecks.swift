import Glibc
import KVM
import Testing
import X86

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine & ControlledMachine,
  Backend.Machine.CPU: ExitingCPU & EventfulCPU & DebuggedCPU & FloatingPointCPU & IdentifiedCPU
    & TimedCPU & MachineCheckCPU & ControlledCPU & PagePointerCPU
{
  static var state: [Check] {
    [
      Check("a non-maskable interrupt blocks the next until IRET") { backend in
        // out 0x80, al; hlt
        let guest = try RealGuest(
          backend, [0xe6, 0x80, 0xf4], handlers: [2: [0xb0, 2, 0xe6, 0x81, 0xcf]])
        try guest.cpu.raiseNonMaskable()
        #expect(try guest.run() == .portWrite(0x81, value: 2, size: 1))
        #expect(try guest.cpu.events().nonMaskable.isBlocked)
        #expect(try guest.run() == .portWrite(0x80, value: 2, size: 1))
        #expect(try guest.cpu.events().nonMaskable.isBlocked == false)
      },
      Check("two non-maskable interrupts at once are both delivered") { backend in
        // out 0x80, al; hlt
        let guest = try RealGuest(
          backend, [0xe6, 0x80, 0xf4], handlers: [2: [0xb0, 2, 0xe6, 0x81, 0xcf]])
        try guest.cpu.raiseNonMaskable()
        try guest.cpu.raiseNonMaskable()
        #expect(try guest.run() == .portWrite(0x81, value: 2, size: 1))
        #expect(try guest.run() == .portWrite(0x81, value: 2, size: 1))
        #expect(try guest.run() == .portWrite(0x80, value: 2, size: 1))
      },
      Check("a non-maskable interrupt waits for the end of an interrupt shadow") { backend in
        // out 0x80, al; out 0x82, al; hlt
        let guest = try RealGuest(
          backend, [0xe6, 0x80, 0xe6, 0x82, 0xf4], handlers: [2: [0xe6, 0x81, 0xcf]])
        var events = try guest.cpu.events()
        events.valid = .shadow
        events.interrupt.shadow = .setInterruptFlag
        try guest.cpu.setEvents(events)
        try guest.cpu.raiseNonMaskable()
        #expect(try guest.run() == .portWrite(0x80, value: 0, size: 1))
        #expect(try guest.run() == .portWrite(0x81, value: 0, size: 1))
      },
      Check("the guest's own steps trap behind POPF, but not behind MOV SS") { backend in
        let code: [UInt8] = [
          0x31, 0xdb, 0x8c, 0xd1,  // xor bx, bx; mov cx, ss
          0x9c, 0x58, 0x50, 0x80, 0xcc, 0x01, 0x50,  // pushf; pop ax; push ax; or ah, 1; push ax
          0x9d, 0x90, 0x8e, 0xd1, 0x90, 0x9d, 0x90,  // popf; nop; mov ss, cx; nop; popf; nop
          0x88, 0xd8, 0xe6, 0x80, 0xf4,  // mov al, bl; out 0x80, al; hlt
        ]
        // inc bx; iret
        let guest = try RealGuest(backend, code, handlers: [1: [0x43, 0xcf]])
        #expect(try guest.run() == .portWrite(0x80, value: 3, size: 1))
      },
      Check("CPUID has the local APIC while it is enabled") { backend in
        let code: [UInt8] = [
          0x66, 0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32,  // mov ecx, IA32_APIC_BASE; rdmsr
          0x80, 0xe4, 0xf7, 0x0f, 0x30,  // and ah, 0xf7; wrmsr
          0x66, 0xb8, 1, 0, 0, 0, 0x0f, 0xa2,  // mov eax, 1; cpuid
          0x88, 0xf0, 0x24, 0x02, 0xe6, 0x80, 0xf4,  // mov al, dh; and al, 2; out 0x80, al; hlt
        ]
        let guest = try RealGuest(backend, code)
        #expect(try guest.run() == .portWrite(0x80, value: 0, size: 1))
      },
      Check("a guest has the registers of mitigations that CPUID offers") { backend in
        // mov ecx, IA32_SPEC_CTRL; rdmsr
        let guest = try RealGuest(
          backend, [0x66, 0xb9, 0x48, 0, 0, 0, 0x0f, 0x32],
          handlers: [13: [0xb0, 13, 0xe6, 0x80, 0xf4]])
        var entries = try backend.supportedCPUID()
        for index in entries.indices {
          if entries[index].leaf == 7 { entries[index].edx = 0 }
          if entries[index].leaf == 0x8000_0008 { entries[index].ebx = 0 }
        }
        try guest.cpu.setCPUID(entries)
        #expect(try guest.run() == .portWrite(0x80, value: 13, size: 1))
      },
      Check("a bank's errors are switched on or off together") { backend in
        let guest = try RealGuest(backend, [0xf4])
        try guest.cpu.setMachineCheckCapabilities(1)
        func takes(_ value: UInt64) throws -> Bool {
          try guest.cpu.writeModelSpecific([ModelSpecificRegister(0x400, value)]) == 1
        }
        #expect(try !takes(0xaaaa))
        #expect(try takes(0) && takes(.max) && takes(~0x401))
      },
      Check("events come back as they were set") { backend in
        let guest = try RealGuest(backend, [0xf4])
        var events = try guest.cpu.events()
        events.nonMaskable.isBlocked = true
        events.nonMaskable.pending = 1
        events.interrupt.shadow = .setInterruptFlag
        events.valid = [.nonMaskablePending, .shadow]
        try guest.cpu.setEvents(events)
        let read = try guest.cpu.events()
        #expect(read.nonMaskable == events.nonMaskable)
        #expect(read.interrupt.shadow == .setInterruptFlag)
        events.exception.isInjected = true
        events.exception.vector = 32
        #expect(refusal { try guest.cpu.setEvents(events) } == EINVAL)
      },
      Check("without interrupt controller, processors only run") { backend in
        let guest = try RealGuest(backend, [0xf4])
        #expect(try guest.cpu.activity() == .runnable)
        try guest.cpu.setActivity(.runnable)
        #expect(refusal { try guest.cpu.setActivity(.halted) } == EINVAL)
      },
      Check("floating-point state comes back as it was set") { backend in
        let guest = try RealGuest(backend, [0xf4])
        var state = try guest.cpu.floatingPoint()
        state.controlWord = 0x27f
        state.stack[3][9] = 0x3f
        state.stack[3][8] = 0xff
        state.mxcsr = 0x1fa0
        try guest.cpu.setFloatingPoint(state)
        let read = try guest.cpu.floatingPoint()
        #expect(read.controlWord == 0x27f && read.stack == state.stack)
      },
      Check("extended state comes back, and what does not exist is refused") { backend in
        let guest = try RealGuest(backend, [0xf4])
        var state = try guest.cpu.extendedState()
        #expect(state.bytes.count >= 4096)
        // XMM1 and the bit that says that it is in use.
        state.bytes[176] = 0x5a
        state.bytes[512] |= 3
        try guest.cpu.setExtendedState(state)
        #expect(try guest.cpu.extendedState().bytes[176] == 0x5a)
        state.bytes[519] = 0x80
        #expect(refusal { try guest.cpu.setExtendedState(state) } == EINVAL)
      },
      Check("XCR0 always has the x87 state") { backend in
        let guest = try RealGuest(backend, [0xf4])
        try guest.cpu.setExtendedControlRegisters([ExtendedControlRegister(0, 3)])
        #expect(
          try guest.cpu.extendedControlRegisters().first == ExtendedControlRegister(0, 3))
        #expect(
          refusal {
            try guest.cpu.setExtendedControlRegisters([ExtendedControlRegister(0, 2)])
          } == EINVAL)
      },
      Check("debug registers come back as they were set") { backend in
        let guest = try RealGuest(backend, [0xf4])
        var registers = try guest.cpu.debugRegisters()
        registers.addresses = [0x1000, 0x2000, 0x3000, 0x4000]
        try guest.cpu.setDebugRegisters(registers)
        #expect(try guest.cpu.debugRegisters() == registers)
        registers.dr7 = 1 << 32
        #expect(refusal { try guest.cpu.setDebugRegisters(registers) } == EINVAL)
      },
      Check("single steps end runs after each instruction") { backend in
        // nop; nop; inc ax; hlt
        let guest = try RealGuest(backend, [0x90, 0x90, 0x40, 0xf4])
        try guest.cpu.setGuestDebug(GuestDebug([.enable, .singleStep]))
        for address in [UInt64(0x1001), 0x1002, 0x1003] {
          guard case .stopped(.debug(let exit)) = try guest.run() else {
            Issue.record("no debug exit before \(address)")
            return
          }
          #expect(exit.exception == 1 && exit.address == address && exit.dr6 & 1 << 14 != 0)
        }
        try guest.cpu.setGuestDebug(GuestDebug())
        #expect(try guest.run() == .stopped(.halted))
      },
      Check("a hardware breakpoint ends the run before its instruction") { backend in
        let guest = try RealGuest(backend, [0x90, 0x90, 0x40, 0xf4])
        var debug = GuestDebug([.enable, .hardwareBreakpoints])
        debug.debugRegisters[0] = 0x1002
        debug.debugRegisters[7] = 0x401
        try guest.cpu.setGuestDebug(debug)
        guard case .stopped(.debug(let exit)) = try guest.run() else {
          Issue.record("no debug exit")
          return
        }
        #expect(exit.exception == 1 && exit.address == 0x1002 && exit.dr6 & 1 != 0)
        #expect(try guest.cpu.registers().rax == 0)
      },
      Check("without paging, addresses lead where they say") { backend in
        let guest = try RealGuest(backend, [0xf4])
        #expect(try guest.cpu.translate(0x1234).physicalAddress == 0x1234)
      },
      Check("registers are read up to the first that there is not") { backend in
        let guest = try RealGuest(backend, [0xf4])
        #expect(try guest.cpu.readModelSpecific([0x10, 0xdead_0000, 0x10]).count == 1)
        let written = try guest.cpu.writeModelSpecific([
          ModelSpecificRegister(0x174, 8), ModelSpecificRegister(0xdead_0000, 1),
        ])
        #expect(written == 1)
        #expect(try guest.cpu.readModelSpecific([0x174]).first?.value == 8)
      },
      Check("every register of the list can be read and written back") { backend in
        let guest = try RealGuest(backend, [0xf4])
        let numbers = try backend.modelSpecificNumbers()
        let values = try guest.cpu.readModelSpecific(numbers)
        #expect(values.map(\.number) == numbers)
      },
      Check("CPUID is what was set") { backend in
        let guest = try RealGuest(backend, [0xf4])
        let entries = try guest.cpu.identification()
        #expect(entries.map(\.leaf) == (try backend.supportedCPUID()).map(\.leaf))
      },
      Check("machine checks need banks") { backend in
        let guest = try RealGuest(backend, [0xf4])
        let capabilities = try backend.machineCheckCapabilities()
        let banks = UInt8(truncatingIfNeeded: capabilities)
        #expect(banks > 0)
        try guest.cpu.setMachineCheckCapabilities(capabilities)
        #expect(refusal { try guest.cpu.setMachineCheckCapabilities(0) } == EINVAL)
        #expect(
          refusal { try guest.cpu.report(MachineCheck(bank: banks, status: 1 << 63)) } == EINVAL)
        try guest.cpu.report(MachineCheck(bank: 0, status: 1 << 63))
      },
      Check("the counter has a rate, and a clock that is not there cannot pause") { backend in
        let guest = try RealGuest(backend, [0xf4])
        #expect(try guest.cpu.timeStampKilohertz() > 100_000)
        #expect(refusal { try guest.cpu.clockWasPaused() } == EINVAL)
      },
      Check("special registers come back with their page pointers") { backend in
        guard backend.check(.sregs2) > 0 else { throw Lacking(sentence: "no KVM_GET_SREGS2") }
        let guest = try RealGuest(backend, [0xf4])
        let values = try guest.cpu.specialRegistersWithPointers()
        try guest.cpu.setSpecialRegistersWithPointers(values)
        #expect(try guest.cpu.specialRegistersWithPointers() == values)
      },
      Check("statistics have names") { backend in
        guard backend.check(.binaryStatsFD) > 0 else {
          throw Lacking(sentence: "no KVM_GET_STATS_FD")
        }
        let guest = try RealGuest(backend, [0xf4])
        let statistics = try guest.cpu.statistics()
        #expect(!statistics.isEmpty && statistics.allSatisfy { !$0.name.isEmpty })
        #expect(try guest.machine.statistics().allSatisfy { !$0.values.isEmpty })
      },
      Check("registers that the hypervisor lacks are exits when asked for") { backend in
        // mov ecx, 0x12345; rdmsr; out 0x80, al; wrmsr; hlt
        let guest = try RealGuest(
          backend,
          [0x66, 0xb9, 0x45, 0x23, 0x01, 0, 0x0f, 0x32, 0xe6, 0x80, 0x0f, 0x30, 0xf4],
          handlers: [13: [0xb0, 13, 0xe6, 0x81, 0xf4]]
        ) { machine in
          try machine.enable(.x86UserSpaceMSR, [2, 0, 0, 0])
        }
        #expect(try guest.run() == .modelSpecificRead(0x12345, reason: .unknown))
        guest.cpu.answer(0x5a)
        #expect(try guest.run() == .portWrite(0x80, value: 0x5a, size: 1))
        #expect(try guest.run() == .modelSpecificWrite(0x12345, value: 0x5a, reason: .unknown))
        guest.cpu.refuse()
        #expect(try guest.run() == .portWrite(0x81, value: 13, size: 1))
      },
      Check("a filter makes registers exits") { backend in
        // mov ecx, 0x174; rdmsr; out 0x80, al; mov cl, 0x0b; rdmsr
        let guest = try RealGuest(
          backend, [0x66, 0xb9, 0x74, 0x01, 0, 0, 0x0f, 0x32, 0xe6, 0x80, 0xb1, 0x0b, 0x0f, 0x32]
        ) { machine in
          try machine.enable(.x86UserSpaceMSR, [4, 0, 0, 0])
          let range = ModelSpecificFilter.Range(
            base: 0x170, isAllowed: [true, true, true, true, false])
          let command = ModelSpecificFilter.Range(base: 0x10b, isAllowed: [false])
          try machine.setModelSpecificFilter(ModelSpecificFilter(ranges: [range, command]))
        }
        #expect(try guest.run() == .modelSpecificRead(0x174, reason: .filtered))
        guest.cpu.answer(0x77)
        #expect(try guest.run() == .portWrite(0x80, value: 0x77, size: 1))
        // Also those that cannot be read.
        #expect(try guest.run() == .modelSpecificRead(0x10b, reason: .filtered))
      },
    ]
  }

  /// For processors whose runs have signals of their own.
  static var signals: [Check] {
    [
      Check("a signal mask can be set and taken away") { backend in
        let guest = try RealGuest(backend, [0xf4])
        try guest.cpu.setSignalMask(0)
        #expect(try guest.run() == .stopped(.halted))
        try guest.cpu.setSignalMask(nil)
      }
    ]
  }
}
