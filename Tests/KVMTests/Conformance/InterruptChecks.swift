import Glibc
import KVM
import Testing

/// Sets the first 8259 up for vector 8 and line 0, tells port 0x12, and waits for the interrupt.
private let waiting: [UInt8] = [
  0xb0, 0x11, 0xe6, 0x20,  // mov al, 0x11; out 0x20, al
  0xb0, 0x08, 0xe6, 0x21,  // mov al, 8; out 0x21, al
  0xb0, 0x04, 0xe6, 0x21,  // mov al, 4; out 0x21, al
  0xb0, 0x01, 0xe6, 0x21,  // mov al, 1; out 0x21, al
  0xb0, 0xfe, 0xe6, 0x21,  // mov al, 0xfe; out 0x21, al
  0xe6, 0x12,  // out 0x12, al
  0xfb, 0xf4, 0xeb, 0xfd,  // sti; again: hlt; jmp again
]
/// mov al, 0x2a; out 0x10, al; hlt
private let handlers: [UInt8: [UInt8]] = [8: [0xb0, 0x2a, 0xe6, 0x10, 0xf4]]

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine & InterruptibleMachine,
  Backend.Machine.CPU: ExitingCPU & EventfulCPU & LocalAPICCPU
{
  private static func waitingGuest(_ backend: Backend) throws -> RealGuest<Backend> {
    try RealGuest(backend, waiting, handlers: handlers) { try $0.makeInterruptController() }
  }

  static var interrupts: [Check] {
    [
      Check("a line raises an interrupt, and tells whether it came through") { backend in
        let guest = try waitingGuest(backend)
        #expect(try guest.run() == .portWrite(0x12, value: 0xfe, size: 1))
        #expect(try guest.machine.setInterruptStatus(0, active: true) > 0)
        #expect(try guest.run() == .portWrite(0x10, value: 0x2a, size: 1))
      },
      Check("an interrupt that an instruction asks for comes right behind it") { backend in
        let code: [UInt8] = [
          0x66, 0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32,  // mov ecx, IA32_APIC_BASE; rdmsr
          0x80, 0xcc, 0x0c, 0x0f, 0x30,  // or ah, 0x0c; wrmsr
          0x66, 0x31, 0xd2, 0x66, 0xb9, 0x0f, 0x08, 0, 0,  // xor edx, edx; mov ecx, 0x80f
          0x66, 0xb8, 0xff, 0x01, 0, 0, 0x0f, 0x30,  // mov eax, 0x1ff; wrmsr
          0xfb, 0x66, 0xb9, 0x3f, 0x08, 0, 0,  // sti; mov ecx, 0x83f
          0x66, 0xb8, 0x40, 0, 0, 0, 0x0f, 0x30,  // mov eax, 0x40; wrmsr
          0xb0, 0x01, 0xe6, 0x80, 0xf4,  // mov al, 1; out 0x80, al; hlt
        ]
        let guest = try RealGuest(backend, code, handlers: [0x40: [0xe6, 0x81, 0xf4]]) {
          try $0.makeInterruptController()
        }
        #expect(try guest.run() == .portWrite(0x81, value: 0x40, size: 1))
      },
      Check("routes decide which input a line is") { backend in
        let guest = try waitingGuest(backend)
        try guest.machine.setRoutes([InterruptRoute(30, .pin(.primaryPIC, 0))])
        #expect(try guest.run() == .portWrite(0x12, value: 0xfe, size: 1))
        guest.machine.setInterrupt(0, active: true)
        guest.machine.setInterrupt(30, active: true)
        #expect(try guest.run() == .portWrite(0x10, value: 0x2a, size: 1))
      },
      Check("the controllers' state is what the guest programmed, and comes back") { backend in
        let guest = try waitingGuest(backend)
        _ = try guest.run()
        guard case .primaryPIC(var pic) = try guest.machine.state(of: .primaryPIC) else {
          Issue.record("another controller answered")
          return
        }
        #expect(pic.mask == 0xfe && pic.vectorBase == 8 && pic.initializationState == 0)
        pic.mask = 0xaa
        try guest.machine.setState(.primaryPIC(pic))
        #expect(try guest.machine.state(of: .primaryPIC) == .primaryPIC(pic))
        guard case .ioAPIC(var apic) = try guest.machine.state(of: .ioAPIC) else { return }
        apic.redirections[5] = 0x0100_0000_0001_0041
        try guest.machine.setState(.ioAPIC(apic))
        #expect(try guest.machine.state(of: .ioAPIC) == .ioAPIC(apic))
      },
      Check("what needs a controller is refused without one") { backend in
        let guest = try RealGuest(backend, [0xf4])
        #expect(refusal { _ = try guest.machine.state(of: .ioAPIC) } == ENXIO)
        #expect(refusal { _ = try guest.cpu.localAPIC() } == EINVAL)
        #expect(refusal { try guest.machine.makeInterruptController() } == EINVAL)
      },
      Check("there is one set of controllers") { backend in
        let machine = try backend.makeMachine()
        try machine.makeInterruptController()
        #expect(refusal { try machine.makeInterruptController() } == EEXIST)
        #expect(refusal { try machine.makeSplitInterruptController(lines: 24) } == EEXIST)
      },
      Check("the local APIC has a version and keeps its task priority") { backend in
        let guest = try waitingGuest(backend)
        var state = try guest.cpu.localAPIC()
        #expect(state[0x30] & 0xff == 0x14)
        state[0x80] = 0x50
        try guest.cpu.setLocalAPIC(state)
        #expect(try guest.cpu.localAPIC()[0x80] == 0x50)
        #expect(try guest.cpu.specialRegisters().cr8 == 5)
      },
      Check("the first processor runs, the others wait for INIT") { backend in
        let guest = try waitingGuest(backend)
        #expect(try guest.cpu.activity() == .runnable)
        let second = try guest.machine.makeCPU(id: 1)
        #expect(try second.activity() == .uninitialized)
        #expect(refusal { _ = try guest.machine.makeCPU(id: 1) } == EEXIST)
        try guest.cpu.setActivity(.halted)
        #expect(try guest.cpu.activity() == .halted)
        #expect(refusal { try guest.machine.setBootProcessor(1) } == EBUSY)
        #expect(refusal { try guest.cpu.inject(interrupt: 0x20) } == ENXIO)
      },
    ]
  }
}

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine & ConnectedMachine,
  Backend.Machine.CPU: ExitingCPU
{
  static var connections: [Check] {
    [
      Check("an eventfd raises its line") { backend in
        let event = Event()
        let guest = try RealGuest(backend, waiting, handlers: handlers) {
          try $0.makeInterruptController()
        }
        let source = InterruptEventSource(descriptor: event.descriptor, line: 0)
        try guest.machine.connect(source)
        #expect(refusal { try guest.machine.connect(source) } == EBUSY)
        #expect(try guest.run() == .portWrite(0x12, value: 0xfe, size: 1))
        event.signal()
        #expect(try guest.run() == .portWrite(0x10, value: 0x2a, size: 1))
        try guest.machine.disconnect(source)
      },
      Check("writes that match signal an eventfd, and are no exits") { backend in
        // mov al, 7; out 0x30, al; mov al, 8; out 0x30, al; hlt
        let guest = try RealGuest(backend, [0xb0, 7, 0xe6, 0x30, 0xb0, 8, 0xe6, 0x30, 0xf4])
        let event = Event()
        let seven = WriteEvent(
          descriptor: event.descriptor, .ports, address: 0x30, size: 1, value: 7)
        try guest.machine.connect(seven)
        #expect(refusal { try guest.machine.connect(seven) } == EEXIST)
        #expect(try guest.run() == .portWrite(0x30, value: 8, size: 1))
        #expect(event.take() == 1)
        try guest.machine.disconnect(seven)
        #expect(refusal { try guest.machine.disconnect(seven) } == ENOENT)
        try guest.start()
        #expect(try guest.run() == .portWrite(0x30, value: 7, size: 1))
        var odd = seven
        odd.size = 3
        #expect(refusal { try guest.machine.connect(odd) } == EINVAL)
      },
      Check("coalesced writes wait in order until another exit") { backend in
        // mov ax, 0xf000; mov ds, ax; mov byte [0], 0x11; mov word [2], 0x2233; out 0x31, al; hlt
        let guest = try RealGuest(
          backend,
          [
            0xb8, 0, 0xf0, 0x8e, 0xd8, 0xc6, 0x06, 0, 0, 0x11, 0xc7, 0x06, 2, 0, 0x33, 0x22, 0xe6,
            0x31, 0xf4,
          ])
        let zone = CoalescedZone(.memory, address: 0xf_0000, size: 0x100)
        try guest.machine.coalesce(zone)
        #expect(try guest.run() == .portWrite(0x31, value: 0, size: 1))
        #expect(
          try guest.machine.collectCoalescedWrites() == [
            CoalescedWrite(.memory, address: 0xf_0000, size: 1, value: 0x11),
            CoalescedWrite(.memory, address: 0xf_0002, size: 2, value: 0x2233),
          ])
        try guest.machine.stopCoalescing(zone)
        try guest.start()
        #expect(try guest.run() == .memoryWrite(0xf_0000, value: 0x11, size: 1))
      },
    ]
  }
}

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine & TimedMachine,
  Backend.Machine.CPU: ExitingCPU
{
  static var time: [Check] {
    [
      Check("the interval timer's state comes back as it was set") { backend in
        let machine = try backend.makeMachine()
        #expect(refusal { _ = try machine.intervalTimer() } == ENXIO)
        try machine.makeInterruptController()
        try machine.makeTimer(hasSpeaker: true)
        #expect(refusal { try machine.makeTimer(hasSpeaker: true) } == EEXIST)
        var state = try machine.intervalTimer()
        (state.channels[2].count, state.channels[2].mode) = (0x1234, 3)
        state.channels[2].accessMode = 3
        try machine.setIntervalTimer(state)
        let read = try machine.intervalTimer().channels[2]
        #expect(read.count == 0x1234 && read.mode == 3)
        try machine.setTimerReinjection(false)
      },
      Check("the machine's clock goes on from where it was set") { backend in
        let guest = try RealGuest(backend, [0xf4])
        try guest.machine.setClock(MachineClock(nanoseconds: 5_000_000_000))
        let first = try guest.machine.clock().nanoseconds
        usleep(2000)
        let second = try guest.machine.clock().nanoseconds
        #expect(first >= 5_000_000_000 && first < 9_000_000_000)
        #expect(second >= first + 2_000_000 && second < first + 4_000_000_000)
      },
    ]
  }
}
