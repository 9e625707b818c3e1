import CKVM
import CLinux
import KVM
import KVMABI
import SeededRandom
import Testing
import X86

@Suite struct StructureTests {
  /// The kernel's structure with every byte but those at `zeros` random.
  func random<Structure>(_ empty: Structure, zeros: [Range<Int>] = []) -> Structure {
    var (structure, generator) = (empty, SeededGenerator(seed: 7))
    withUnsafeMutableBytes(of: &structure) { bytes in
      for index in bytes.indices where !zeros.contains(where: { $0.contains(index) }) {
        bytes[index] = UInt8.random(in: 1...255, using: &generator)
      }
    }
    return structure
  }

  func expectEqual<Structure>(
    _ left: Structure, _ right: Structure, location: SourceLocation = #_sourceLocation
  ) {
    let bytes = (withUnsafeBytes(of: left, Array.init), withUnsafeBytes(of: right, Array.init))
    #expect(bytes.0 == bytes.1, sourceLocation: location)
  }

  @Test func `requests have the kernel's numbers`() {
    var known: [String: UInt] = [:]
    var index: Int32 = 0
    while let name = kvm_request(index).name {
      known[String(cString: name)] = kvm_request(index).number
      index += 1
    }
    #expect(known.count > 80)
    for request in KVMRequest.allCases where request != .KVM_SET_USER_MEMORY_REGION2 {
      #expect(known[request.name] == request.rawValue, "\(request)")
    }
  }

  @Test func `plain structures keep every byte`() {
    let registers = random(kvm_regs())
    expectEqual(kvm_regs(Registers(registers)), registers)
    let floating = random(kvm_fpu(), zeros: [133..<134, 412..<416])
    expectEqual(kvm_fpu(FloatingPointState(floating)), floating)
    let debug = random(kvm_debugregs(), zeros: [48..<128])
    expectEqual(kvm_debugregs(DebugRegisters(debug)), debug)
    let apic = random(kvm_lapic_state())
    expectEqual(kvm_lapic_state(LocalAPICState(apic)), apic)
    let control = random(kvm_guest_debug(), zeros: [4..<8])
    expectEqual(kvm_guest_debug(GuestDebug(control)), control)
    let timer = random(kvm_pit_state2(), zeros: [76..<112])
    expectEqual(kvm_pit_state2(IntervalTimerState(timer)), timer)
    let check = random(kvm_x86_mce(), zeros: [33..<64])
    expectEqual(kvm_x86_mce(MachineCheck(check)), check)
    let slot = random(kvm_userspace_memory_region())
    expectEqual(kvm_userspace_memory_region(MemorySlot(slot)), slot)
    let wide = random(apus_memory_region2(), zeros: [44..<160])
    expectEqual(apus_memory_region2(MemorySlot(wide)), wide)
    let exit = random(kvm_debug_exit_arch(), zeros: [4..<8])
    expectEqual(kvm_debug_exit_arch(DebugExit(exit)), exit)
  }

  @Test(arguments: InterruptChip.allCases) func `controllers keep every byte`(chip: InterruptChip) {
    // Zero: the number, padding (28 is in the I/O APIC alone), and what the controller has not.
    let zeros = chip == .ioAPIC ? [0..<8, 28..<32, 224..<520] : [0..<8, 24..<520]
    var state = random(apus_irqchip(), zeros: zeros)
    state.chip_id = chip.rawValue
    let converted = InterruptChipState(state)
    #expect(converted?.chip == chip)
    if let converted { expectEqual(apus_irqchip(converted), state) }
  }

  @Test func `events and special registers come back`() {
    var events = ProcessorEvents()
    events.exception.isInjected = true
    events.exception.vector = 14
    events.exception.errorCode = 0xffff_0002
    events.exception.payload = 0x1234
    events.interrupt.isInjected = true
    events.interrupt.vector = 0x81
    events.interrupt.isSoftware = true
    events.interrupt.shadow = .setInterruptFlag
    events.nonMaskable.pending = 2
    events.nonMaskable.isBlocked = true
    events.systemManagement.isInside = true
    events.systemManagement.latchedInit = true
    events.startupVector = 0x9a
    events.hasTripleFault = true
    events.valid = [.shadow, .payload, .tripleFault]
    #expect(ProcessorEvents(kvm_vcpu_events(events)) == events)

    var special = SpecialRegisters()
    special.cs = .flatCode64(selector: 8)
    special.pendingInterrupt = 0xfe
    #expect(SpecialRegisters(kvm_sregs(special)) == special)
    special.pendingInterrupt = nil
    let wide = SpecialRegistersWithPointers(special, pagePointers: [1, 2, 3, 4])
    #expect(SpecialRegistersWithPointers(kvm_sregs2(wide)) == wide)
    let narrow = SpecialRegistersWithPointers(special)
    #expect(SpecialRegistersWithPointers(kvm_sregs2(narrow)) == narrow)
  }

  @Test func `routes and connections come back`() {
    let message = MessageInterrupt(address: 0x1_fee0_1000, data: 0x4021)
    let routes = [
      InterruptRoute(5, .pin(.secondaryPIC, 3)), InterruptRoute(30, .message(message)),
      InterruptRoute(31, .hyperV(processor: 2, source: 9)),
    ]
    #expect(routes.map { InterruptRoute(kvm_irq_routing_entry($0)) } == routes)
    #expect(InterruptRoute(kvm_irq_routing_entry()) == nil)
    #expect(MessageInterrupt(kvm_msi(message)) == message)
    let source = InterruptEventSource(descriptor: 4, line: 7, resample: 9)
    #expect(InterruptEventSource(kvm_irqfd(source)) == source)
    for value in [nil, UInt64.max] {
      let event = WriteEvent(descriptor: 5, .ports, address: 0x10, size: 2, value: value)
      #expect(WriteEvent(kvm_ioeventfd(event)) == event)
    }
    let connection = HyperVConnection(0x1234, descriptor: 6)
    #expect(HyperVConnection(kvm_hyperv_eventfd(connection)) == connection)
    let zone = CoalescedZone(.ports, address: 0x70, size: 2)
    #expect(CoalescedZone(kvm_coalesced_mmio_zone(zone)) == zone)
    let write = CoalescedWrite(.memory, address: 0xd000_0000, size: 4, value: 0x1234_5678)
    #expect(CoalescedWrite(kvm_coalesced_mmio(write)) == write)
  }

  @Test func `numbers, clocks and lists come back`() {
    let controls = [ExtendedControlRegister(0, 7), ExtendedControlRegister(1, 3)]
    #expect(kvm_xcrs(controls).registers == controls)
    let nested = NestedState(flags: 0x1234, format: 1, payload: [UInt8](repeating: 3, count: 200))
    #expect(NestedState(bytes: nested.bytes) == nested)
    #expect(NestedState(bytes: Array(nested.bytes.dropLast())) == nil)
    for clock in [
      MachineClock(nanoseconds: 5), MachineClock(nanoseconds: 5, realTime: 6),
      MachineClock(nanoseconds: 5, hostTimeStamp: 7, isTimeStampStable: true),
    ] {
      #expect(MachineClock(kvm_clock_data(clock)) == clock)
    }
    for translation in [
      Translation(linearAddress: 1, physicalAddress: nil),
      Translation(linearAddress: 1, physicalAddress: 9, isWritable: false, isUserMode: true),
    ] {
      #expect(Translation(kvm_translation(translation)) == translation)
    }
    for entry in [CPUIDEntry(1, nil, (1, 2, 3, 4)), CPUIDEntry(7, 1, (5, 6, 7, 8))] {
      #expect(CPUIDEntry(kvm_cpuid_entry2(entry)) == entry)
    }
  }
}
