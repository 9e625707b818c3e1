import Glibc
import KVM
import Testing

/// A real-mode guest whose system-management mode has 64 KiB of its own: SMBASE is 0, so that the
/// handler is at 0x8000, and the saved state ends at 0x10000.
private struct ManagedGuest<Backend: InquirableHypervisor>
where
  Backend.Machine: SlottedMachine, Backend.Machine.CPU: ExitingCPU & EventfulCPU & IdentifiedCPU
{
  let ownMemory = HostPages(0x1_0000)
  let guest: RealGuest<Backend>
  var cpu: Backend.Machine.CPU { guest.cpu }

  init(
    _ backend: Backend, _ code: [UInt8], handler: [UInt8], handlers: [UInt8: [UInt8]] = [:],
    prepare: (Backend.Machine) throws -> Void = { _ in }
  ) throws {
    guard backend.check(.x86SMM) > 0, backend.check(.multiAddressSpace) > 1 else {
      throw Lacking(sentence: "no system-management mode")
    }
    guest = try RealGuest(backend, code, handlers: handlers, prepare: prepare)
    ownMemory.write(handler, at: 0x8000)
    try guest.machine.setMemory(
      MemorySlot(
        1 << 16, guestAddress: 0, size: 0x1_0000, hostAddress: ownMemory.address))
    #expect(try cpu.writeModelSpecific([ModelSpecificRegister(0x9e, 0)]) == 1)
  }

  func run() throws -> Exit { try guest.run() }

  /// A 32-bit number of the saved state, by AMD's offset.
  func saved(_ offset: Int) -> UInt32 {
    ownMemory.base.load(fromByteOffset: 0x8000 + offset, as: UInt32.self)
  }
  func save(_ value: UInt32, at offset: Int) {
    ownMemory.base.storeBytes(of: value, toByteOffset: 0x8000 + offset, as: UInt32.self)
  }
}

/// mov al, 0xfe; out 0x81, al; rsm
private let handler: [UInt8] = [0xb0, 0xfe, 0xe6, 0x81, 0x0f, 0xaa]
private let handlerExit = Exit.portWrite(0x81, value: 0xfe, size: 1)

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine & InterruptibleMachine,
  Backend.Machine.CPU: ExitingCPU & EventfulCPU & IdentifiedCPU
{
  static var management: [Check] {
    [
      Check("a system-management interrupt runs its handler in memory of its own") { backend in
        // mov al, 1; out 0x80, al; again: out 0x80, al; hlt
        let guest = try ManagedGuest(
          backend, [0xb0, 1, 0xe6, 0x80, 0xe6, 0x80, 0xf4], handler: handler)
        #expect(try guest.run() == .portWrite(0x80, value: 1, size: 1))
        #expect(!guest.cpu.status.isInSystemManagement)
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        #expect(guest.cpu.status.isInSystemManagement)
        #expect(try guest.cpu.events().systemManagement.isInside)
        #expect(try guest.cpu.events().nonMaskable.isBlocked)
        #expect(try guest.run() == .portWrite(0x80, value: 1, size: 1))
        #expect(try guest.cpu.events().systemManagement == SystemManagementEvent())
        #expect(try guest.cpu.events().nonMaskable.isBlocked == false)
        #expect(try guest.run() == .stopped(.halted))
      },
      Check("the handler finds the state, and may change it") { backend in
        let guest = try ManagedGuest(backend, [0xe6, 0x80, 0xf4], handler: handler)
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        #expect(guest.saved(0x7efc) == 0x2_0064 && guest.saved(0x7f78) == 0x1000)
        guest.save(0x55, at: 0x7ff8)  // RAX
        guest.save(0x4_0000, at: 0x7f00)  // SMBASE
        #expect(try guest.run() == .portWrite(0x80, value: 0x55, size: 1))
        #expect(try guest.cpu.readModelSpecific([0x9e]).first?.value == 0x4_0000)
        #expect(try guest.cpu.readModelSpecific([0x34]).first?.value == 1)
      },
      Check("a processor without long mode saves its state in fewer bytes") { backend in
        let guest = try ManagedGuest(backend, [0xe6, 0x80, 0xf4], handler: handler)
        var entries = try backend.supportedCPUID()
        for index in entries.indices where entries[index].leaf == 0x8000_0001 {
          entries[index].edx &= ~(1 << 29)
        }
        try guest.cpu.setCPUID(entries)
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        #expect(guest.saved(0x7efc) == 0x2_0000 && guest.saved(0x7ff0) == 0x1000)
        guest.save(0x55, at: 0x7fd0)  // EAX
        #expect(try guest.run() == .portWrite(0x80, value: 0x55, size: 1))
      },
      Check("a saved state that cannot be is a shutdown") { backend in
        let guest = try ManagedGuest(backend, [0xf4], handler: handler)
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        guest.save(0x8000_0000, at: 0x7f58)  // CR0: paging without protection
        #expect(try guest.run() == .stopped(.shutdown))
      },
      Check("RSM is undefined elsewhere, and SMBASE is not the guest's to read") { backend in
        // rsm; at vector 6: mov cx, 0x9e; rdmsr
        let guest = try ManagedGuest(
          backend, [0x0f, 0xaa], handler: handler,
          handlers: [
            6: [0x66, 0xb9, 0x9e, 0, 0, 0, 0x0f, 0x32], 13: [0xb0, 13, 0xe6, 0x80, 0xf4],
          ])
        #expect(try guest.run() == .portWrite(0x80, value: 13, size: 1))
      },
      Check("non-maskable and further system-management interrupts wait for RSM") { backend in
        let guest = try ManagedGuest(
          backend, [0xf4], handler: handler, handlers: [2: [0xb0, 2, 0xe6, 0x82, 0xf4]])
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        try guest.cpu.raiseNonMaskable()
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        #expect(try guest.run() == .portWrite(0x82, value: 2, size: 1))
      },
      Check("a processor is put into system-management mode by its events") { backend in
        // The same address in both spaces: out 0x80, al and out 0x82, al.
        let guest = try ManagedGuest(backend, [0xe6, 0x80, 0xf4], handler: handler)
        guest.ownMemory.write([0xe6, 0x82, 0xf4], at: 0x1000)
        var events = try guest.cpu.events()
        events.valid = .systemManagement
        events.systemManagement.isInside = true
        events.systemManagement.isInsideNonMaskable = true
        try guest.cpu.setEvents(events)
        #expect(try guest.cpu.events().systemManagement == events.systemManagement)
        #expect(try guest.run() == .portWrite(0x82, value: 0, size: 1))
        events.systemManagement = SystemManagementEvent()
        try guest.cpu.setEvents(events)
        try guest.guest.start()
        #expect(try guest.run() == .portWrite(0x80, value: 0, size: 1))
      },
      Check("INIT waits for the end of system-management mode") { backend in
        let guest = try ManagedGuest(backend, [0xf4], handler: handler) {
          try $0.makeInterruptController()
        }
        try guest.cpu.raiseSystemManagement()
        #expect(try guest.run() == handlerExit)
        var events = try guest.cpu.events()
        events.systemManagement.latchedInit = true
        events.valid = .systemManagement
        try guest.cpu.setEvents(events)
        #expect(try guest.cpu.events().systemManagement.latchedInit)
        #expect(refusal { try guest.cpu.setActivity(.initReceived) } == EINVAL)
      },
      Check("there are two address spaces for slots") { backend in
        let guest = try ManagedGuest(backend, [0xf4], handler: handler)
        let address = guest.ownMemory.address
        func add(_ number: UInt32, at start: UInt64) -> Int32 {
          refusal {
            try guest.guest.machine.setMemory(
              MemorySlot(number, guestAddress: start, size: 0x1000, hostAddress: address))
          }
        }
        #expect(add(2 << 16, at: 0x10_0000) == EINVAL)
        #expect(add(1 << 16 | 1, at: 0x8000) == EEXIST)
        #expect(add(1 << 16 | 1, at: 0x10_0000) == 0)
        #expect(add(1, at: 0x10_0000) == 0)
      },
    ]
  }
}
