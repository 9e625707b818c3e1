import Glibc
import KVM
import Testing

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine, Backend.Machine.CPU: ExitingCPU
{
  /// mov ax, 0x2000; mov ds, ax; mov al, [0]; out 0x10, al; mov byte [1], 0x55; out 0x11, al; hlt
  fileprivate static var loadAndStore: [UInt8] {
    [
      0xb8, 0x00, 0x20, 0x8e, 0xd8, 0xa0, 0, 0, 0xe6, 0x10, 0xc6, 0x06, 1, 0, 0x55, 0xe6, 0x11,
      0xf4,
    ]
  }

  static var memory: [Check] {
    [
      Check("memory is where its slot says, and a device where there is none") { backend in
        let (guest, pages) = (try RealGuest(backend, loadAndStore), HostPages(0x2000))
        pages[0] = 0x42
        try guest.machine.setMemory(
          MemorySlot(1, guestAddress: 0x2_0000, size: 0x2000, hostAddress: pages.address))
        #expect(try guest.run() == .portWrite(0x10, value: 0x42, size: 1))
        #expect(try guest.run() == .portWrite(0x11, value: 0x42, size: 1))
        #expect(pages[1] == 0x55)

        try guest.machine.setMemory(.deleted(1))
        try guest.start()
        #expect(try guest.run() == .memoryRead(0x2_0000, size: 1))
        guest.cpu.answer(0x99)
        #expect(try guest.run() == .portWrite(0x10, value: 0x99, size: 1))
        #expect(try guest.run() == .memoryWrite(0x2_0001, value: 0x55, size: 1))
      },
      Check("a slot moves with its contents") { backend in
        let (guest, pages) = (try RealGuest(backend, loadAndStore), HostPages(0x1000))
        pages[0] = 0x42
        var slot = MemorySlot(1, guestAddress: 0x8_0000, size: 0x1000, hostAddress: pages.address)
        try guest.machine.setMemory(slot)
        #expect(try guest.run() == .memoryRead(0x2_0000, size: 1))
        guest.cpu.answer(1)
        #expect(try guest.run() == .portWrite(0x10, value: 1, size: 1))
        slot.guestAddress = 0x2_0000
        try guest.machine.setMemory(slot)
        try guest.start()
        #expect(try guest.run() == .portWrite(0x10, value: 0x42, size: 1))
      },
      Check("writes to a read-only slot are exits, reads are not") { backend in
        let (guest, pages) = (try RealGuest(backend, loadAndStore), HostPages(0x1000))
        pages[0] = 0x42
        try guest.machine.setMemory(
          MemorySlot(
            1, guestAddress: 0x2_0000, size: 0x1000, hostAddress: pages.address, flags: .readOnly))
        #expect(try guest.run() == .portWrite(0x10, value: 0x42, size: 1))
        #expect(try guest.run() == .memoryWrite(0x2_0001, value: 0x55, size: 1))
        #expect(pages[1] == 0)
      },
      Check("slots that cannot be are refused") { backend in
        let (machine, pages) = (try backend.makeMachine(), HostPages(0x4000))
        func set(_ number: UInt32, _ address: UInt64, _ size: UInt64, host: UInt64 = 0) -> Int32 {
          refusal {
            try machine.setMemory(
              MemorySlot(
                number, guestAddress: address, size: size, hostAddress: pages.address + host))
          }
        }
        #expect(set(0, 0x1000, 0x2000) == 0)
        #expect(set(1, 0x2000, 0x2000) == EEXIST)
        #expect(set(1, 0x8001, 0x1000) == EINVAL)
        #expect(set(1, 0x8000, 0x1001) == EINVAL)
        #expect(set(1, 0x8000, 0x1000, host: 1) == EINVAL)
        #expect(set(0, 0x1000, 0x1000) == EINVAL)
        #expect(set(0x7fff_ffff, 0x8000, 0x1000) == EINVAL)
        #expect(refusal { try machine.setMemory(.deleted(7)) } == EINVAL)
      },
    ]
  }
}

extension Check
where
  Backend: InquirableHypervisor, Backend.Machine: SlottedMachine & DirtyTrackingMachine,
  Backend.Machine.CPU: ExitingCPU
{
  static var dirtyPages: [Check] {
    [
      Check("the log has the pages that the guest wrote, once") { backend in
        // mov [0x3000], al; mov [0x7000], al; hlt
        let guest = try RealGuest(
          backend, [0xa2, 0, 0x30, 0xa2, 0, 0x70, 0xf4], flags: .logDirtyPages)
        #expect(try guest.run() == .stopped(.halted))
        #expect(try guest.machine.dirtyPages(slot: 0).pages.filter { $0 > 1 } == [3, 7])
        #expect(try guest.machine.dirtyPages(slot: 0).pages == [])
        try guest.start()
        #expect(try guest.run() == .stopped(.halted))
        #expect(try guest.machine.dirtyPages(slot: 0).pages.filter { $0 > 1 } == [3, 7])
      },
      Check("there is no log of a slot that keeps none") { backend in
        let guest = try RealGuest(backend, [0xf4])
        #expect(refusal { _ = try guest.machine.dirtyPages(slot: 0) } == ENOENT)
        #expect(refusal { _ = try guest.machine.dirtyPages(slot: 5) } == ENOENT)
      },
    ]
  }
}

extension Check
where
  Backend: InquirableHypervisor,
  Backend.Machine: SlottedMachine & DirtyTrackingMachine & ControlledMachine,
  Backend.Machine.CPU: ExitingCPU & DirtyRingCPU
{
  static var dirtyRings: [Check] {
    [
      Check("the ring has the pages that the guest wrote, in its order") { backend in
        guard backend.check(.dirtyLogRing) > 0 else {
          throw Lacking(sentence: "no ring of dirty pages")
        }
        // mov [0x7000], al; mov [0x3000], al; hlt
        let guest = try RealGuest(
          backend, [0xa2, 0, 0x70, 0xa2, 0, 0x30, 0xf4], flags: .logDirtyPages
        ) { machine in
          try machine.enable(.dirtyLogRing, [65536, 0, 0, 0])
        }
        #expect(try guest.run() == .stopped(.halted))
        let pages = try guest.cpu.collectDirtyPages()
        #expect(pages.map(\.offset).filter { $0 > 1 } == [7, 3])
        #expect(try guest.machine.resetDirtyRings() == pages.count)
        #expect(try guest.cpu.collectDirtyPages().isEmpty)
      }
    ]
  }
}
