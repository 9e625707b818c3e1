import GuestMemory
import KVM
import KVMSoft
import Testing
import X86

/// State that is taken from a processor of the engine and given to one.
@Suite struct SoftStateTests {
  @Test func `an exception that waits is kept and delivered`() throws {
    let guest = try SoftGuest([0xf4])
    try guest.memory.write([0x00, 0x11, 0, 0], at: 6 * 4)
    try guest.memory.write([0xe6, 0x80, 0xf4], at: 0x1100)
    let cpu = try guest.start()
    var events = try cpu.events()
    (events.exception.isInjected, events.exception.vector) = (true, 6)
    try cpu.setEvents(events)
    #expect(try cpu.events().exception.vector == 6)
    #expect(try cpu.run() == .portWrite(0x80, value: 0, size: 1))
    #expect(try cpu.events().exception.isInjected == false)
  }

  @Test func `events that cannot be are refused`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    var events = try cpu.events()
    (events.exception.isInjected, events.exception.vector) = (true, 2)
    #expect(throws: KVMError.self) { try cpu.setEvents(events) }
    events.exception.vector = 32
    #expect(throws: KVMError.self) { try cpu.setEvents(events) }
    events = try cpu.events()
    events.valid.insert(.payload)
    #expect(throws: KVMError.self) { try cpu.setEvents(events) }
  }

  @Test func `an NMI waits for the end of the one before`() throws {
    // out 0x80, al; hlt   NMI at 0x1100: inc ax; out 0x81, al; iret
    let guest = try SoftGuest([0xe6, 0x80, 0xe6, 0x82, 0xf4])
    try guest.memory.write([0x00, 0x11, 0, 0], at: 2 * 4)
    try guest.memory.write([0x40, 0xe6, 0x81, 0xcf], at: 0x1100)
    let cpu = try guest.start()
    try cpu.raiseNonMaskable()
    #expect(try cpu.run() == .portWrite(0x81, value: 1, size: 1))
    #expect(try cpu.events().nonMaskable.isBlocked)
    try cpu.raiseNonMaskable()
    #expect(try cpu.events().nonMaskable.pending == 1)
    #expect(try cpu.run() == .portWrite(0x81, value: 2, size: 1))
    #expect(try cpu.run() == .portWrite(0x80, value: 2, size: 1))
  }

  @Test func `special registers that no processor can have are refused`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    let good = try cpu.specialRegisters()
    let changes: [(inout SpecialRegisters) -> Void] = [
      { $0.cr0.insert(.paging) }, { $0.cr0.insert(.notWriteThrough) },
      { $0.efer.insert(.longModeActive) }, { $0.cr4.insert(.la57) },
      { $0.cr4.rawValue |= 1 << 13 }, { $0.cr0.rawValue |= 1 << 40 }, { $0.apicBase = 1 << 10 },
      { $0.apicBase |= 1 }, { $0.cs.attributes[.long] = true },
    ]
    for (index, change) in changes.enumerated() {
      var values = good
      if index == 1 { values.cr0.remove(.cacheDisable) }
      change(&values)
      #expect(throws: KVMError.self, "change \(index)") { try cpu.setSpecialRegisters(values) }
    }
    #expect(try cpu.specialRegisters() == good)
  }

  @Test func `a string read is one exit`() throws {
    // mov cx, 5; mov di, 0x3000; mov dx, 0x71; rep insb; hlt
    let code: [UInt8] = [0xb9, 5, 0, 0xbf, 0, 0x30, 0xba, 0x71, 0, 0xf3, 0x6c, 0xf4]
    let guest = try SoftGuest(code)
    let cpu = try guest.start()
    #expect(try cpu.run() == .portRead(0x71, size: 1, count: 5))
    cpu.withPortData { data in
      for index in 0..<data.byteCount {
        data.storeBytes(of: UInt8(0x10 + index), toByteOffset: index, as: UInt8.self)
      }
    }
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try guest.memory.load(UInt32.self, at: 0x3000) == 0x1312_1110)
    #expect(try cpu.registers().rcx == 0 && cpu.registers().rdi == 0x3005)
  }

  @Test func `a string write is an exit for each element`() throws {
    // mov cx, 2; mov si, 0x1000; mov dx, 0x71; rep outsw; hlt
    let code: [UInt8] = [0xb9, 2, 0, 0xbe, 0, 0x10, 0xba, 0x71, 0, 0xf3, 0x6f, 0xf4]
    let cpu = try SoftGuest(code).start()
    #expect(try cpu.run() == .portWrite(0x71, value: 0x02b9, size: 2))
    #expect(try cpu.run() == .portWrite(0x71, value: 0xbe00, size: 2))
    #expect(try cpu.run() == .stopped(.halted))
  }

  @Test func `model-specific accesses end the run where that is asked for`() throws {
    // mov ecx, 0xdead; rdmsr; inc ax; wrmsr; hlt
    let code: [UInt8] = [
      0x66, 0xb9, 0xad, 0xde, 0, 0, 0x0f, 0x32, 0x40, 0x0f, 0x30, 0xf4,
    ]
    let guest = try SoftGuest(code)
    try guest.machine.enable(.x86UserSpaceMSR, [3, 0, 0, 0])
    let cpu = try guest.start()
    #expect(try cpu.run() == .modelSpecificRead(0xdead, reason: .unknown))
    #expect(try cpu.registers().rip == 0x1006)
    cpu.answer(0x1_0000_0041)
    #expect(
      try cpu.run() == .modelSpecificWrite(0xdead, value: 0x1_0000_0042, reason: .unknown))
    cpu.refuse()
    try guest.memory.write([0x00, 0x11, 0, 0], at: 13 * 4)
    try guest.memory.write([0xe6, 0x80], at: 0x1100)
    #expect(try cpu.run() == .portWrite(0x80, value: 0x42, size: 1))
  }

  @Test func `the other makers' hypercall is mended, where that is left on`() throws {
    // mov eax, 11; vmcall; hlt
    let code: [UInt8] = [0x66, 0xb8, 11, 0, 0, 0, 0x0f, 0x01, 0xc1, 0xf4]
    let guest = try SoftGuest(code)
    let cpu = try guest.start()
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try cpu.registers().rax == 0)
    #expect(try guest.memory.load(UInt8.self, at: 0x1008) == 0xd9)

    let strict = try SoftGuest(code)
    try strict.machine.enable(.disableQuirks2, [0x20, 0, 0, 0])
    try strict.memory.write([0x00, 0x11, 0, 0], at: 6 * 4)
    try strict.memory.write([0xe6, 0x80], at: 0x1100)
    #expect(try strict.start().run() == .portWrite(0x80, value: 11, size: 1))
    #expect(try strict.memory.load(UInt8.self, at: 0x1008) == 0xc1)
  }

  @Test func `the counter runs at the rate that is set`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    let own = try cpu.timeStampKilohertz()
    try cpu.setTimeStampKilohertz(100_000)
    #expect(try cpu.timeStampKilohertz() == 100_000)
    func counter() throws -> UInt64 { try cpu.modelSpecificRegisters([0x10])[0].value }
    let (before, start) = (try counter(), ContinuousClock.now)
    while ContinuousClock.now - start < .milliseconds(20) {}
    let ticks = try counter() - before
    // 100 in a microsecond.
    #expect(ticks > 1_900_000 && ticks < 20_000_000)
    try cpu.setTimeStampKilohertz(0)
    #expect(try cpu.timeStampKilohertz() == own)
    #expect(throws: KVMError.self) { try cpu.setTimeStampKilohertz(.max) }
  }

  @Test func `a machine is ready in less than 5 ms`() throws {
    var best = Duration.seconds(1)
    for _ in 0..<5 {
      let start = ContinuousClock.now
      let exit = try SoftGuest([0xf4]).start().run()
      best = min(best, ContinuousClock.now - start)
      #expect(exit == .stopped(.halted))
    }
    print("from no machine to its first instruction: \(best)")
    #expect(best < .milliseconds(5))
  }

  @Test func `code outside memory ends the run`() throws {
    let cpu = try SoftGuest([0xf4], memorySize: 0x80000).start()
    var special = try cpu.specialRegisters()
    special.cs = .realMode(selector: 0xf000)
    try cpu.setSpecialRegisters(special)
    #expect(try cpu.run() == .stopped(.internalError(.emulation)))
    #expect(cpu.exitDetails.isEmpty == false)
    #expect(try cpu.registers().rip == 0x1000)
  }

  @Test func `the task priority can be set for the next run`() throws {
    let cpu = try SoftGuest([0xf4]).start()
    cpu.setTaskPriority(5)
    #expect(cpu.status.taskPriority == 5)
  }

  @Test func `a saved guest goes on elsewhere as it would have`() throws {
    // fninit; fldz; mov cx, 200; again: fld1; faddp st1; imul ax, ax, 77; add ax, cx; mov bx, ax; and bx, 0xfff;
    // add [bx + 0x3000], ax; loop again; fstp qword [0x4ff8]; hlt
    let code: [UInt8] = [
      0xdb, 0xe3, 0xd9, 0xee, 0xb9, 200, 0, 0xd9, 0xe8, 0xde, 0xc1, 0x6b, 0xc0, 77, 0x01, 0xc8,
      0x89,
      0xc3, 0x81, 0xe3, 0xff, 0x0f, 0x01, 0x87, 0, 0x30, 0xe2, 0xeb, 0xdd, 0x1e, 0xf8, 0x4f, 0xf4,
    ]
    let whole = try SoftGuest(code)
    let reference = try whole.start()
    #expect(try reference.run() == .stopped(.halted))
    let expected = try reference.registers()
    #expect(Double(bitPattern: try whole.memory.load(UInt64.self, at: 0x4ff8)) == 200)

    var guest = try SoftGuest(code)
    var cpu = try guest.start()
    for steps in [1, 7, 100, 333] {
      try cpu.setGuestDebug(GuestDebug([.enable, .singleStep]))
      for _ in 0..<steps { _ = try cpu.run() }
      let next = try SoftGuest([])
      for (index, word) in try words(of: guest.memory).enumerated() {
        try next.memory.store(word, at: UInt64(index) * 8)
      }
      let successor = try next.start()
      try copyState(of: cpu, to: successor)
      (guest, cpu) = (next, successor)
    }
    #expect(try cpu.run() == .stopped(.halted))
    #expect(try cpu.registers() == expected)
    #expect(try words(of: guest.memory) == words(of: whole.memory))
  }

  private func copyState(of cpu: SoftCPU, to successor: SoftCPU) throws {
    try successor.setSpecialRegisters(try cpu.specialRegisters())
    try successor.setRegisters(try cpu.registers())
    try successor.setExtendedControlRegisters(try cpu.extendedControlRegisters())
    try successor.setExtendedState(try cpu.extendedState())
    let numbers = try SoftHypervisor().modelSpecificNumbers()
    let registers = try cpu.readModelSpecific(numbers)
    #expect(registers.count == numbers.count)
    #expect(try successor.writeModelSpecific(registers) == numbers.count)
    try successor.setDebugRegisters(try cpu.debugRegisters())
    try successor.setEvents(try cpu.events())
  }

  /// The first 64 KiB.
  private func words(of memory: GuestMemory) throws -> [UInt64] {
    try (0..<0x2000).map { try memory.load(UInt64.self, at: $0 * 8) }
  }
}
