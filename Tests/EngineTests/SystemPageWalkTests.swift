import Engine
import GuestMemory
import Testing
import X86

@Suite struct PageWalkTests {
  let machine: SystemMachine
  let window = SystemMachine.window
  init() throws { machine = try SystemMachine() }

  func fault(_ linear: UInt64, _ access: MemoryAccess) -> GuestFault? {
    do {
      _ = try machine.processor.translate(linear, access)
      return nil
    } catch {
      return error
    }
  }

  /// What SDM vol. 3A, section 4.6.1 allows, written as its tables are.
  func isAllowed(
    _ entry: UInt64, _ access: MemoryAccess, wp: Bool, smep: Bool, smap: Bool, ac: Bool
  )
    -> Bool
  {
    let (writable, user, noExecute) = (entry & 2 != 0, entry & 4 != 0, entry >> 63 != 0)
    let (write, fetch) = (access.contains(.write), access.contains(.execute))
    if access.contains(.user) {
      return user && (!write || writable) && (!fetch || !noExecute)
    }
    if fetch { return !noExecute && !(user && smep) }
    if user && smap && (!ac || access.contains(.implicit)) { return false }
    return !write || writable || !wp
  }

  @Test func `every combination of rights and modes gives its access or its error code`() throws {
    let rights: [UInt64] = [0, 2, 4, 6, 1 << 63, 1 << 63 | 2, 1 << 63 | 4, 1 << 63 | 6]
    let accesses: [MemoryAccess] = [
      [], .write, .execute, .user, [.user, .write], [.user, .execute], .implicit,
      [.implicit, .write],
    ]
    for bits in rights {
      for modes in 0..<16 {
        let (wp, smep, smap, ac) = (modes & 1 != 0, modes & 2 != 0, modes & 4 != 0, modes & 8 != 0)
        machine.processor.cpu.cr0 = [.protection, .paging]
        if wp { machine.processor.cpu.cr0.insert(.writeProtect) }
        machine.processor.cpu.cr4 = [.physicalAddressExtension]
        if smep { machine.processor.cpu.cr4.insert(.supervisorExecutionPrevention) }
        if smap { machine.processor.cpu.cr4.insert(.supervisorAccessPrevention) }
        machine.processor.cpu.systemFlags = ac ? 0x40002 : 2
        for access in accesses {
          try machine.map(0, to: 0x10_0000, flags: bits | 1)
          let found = fault(window + 0x123, access)
          if isAllowed(bits, access, wp: wp, smep: smep, smap: smap, ac: ac) {
            #expect(found == nil, "\(bits) \(access) \(modes)")
            let marks: UInt64 = access.contains(.write) ? 0x60 : 0x20
            #expect(try machine.entry(0) & 0x60 == marks)
          } else {
            var code: UInt32 = 1
            if access.contains(.write) { code |= 2 }
            if access.contains(.user) { code |= 4 }
            if access.contains(.execute) { code |= 16 }
            #expect(found == GuestFault(.pageFault, errorCode: code, address: window + 0x123))
            #expect(try machine.entry(0) & 0x60 == 0)
          }
        }
      }
    }
  }

  @Test func `an absent page reports only the access`() throws {
    #expect(
      fault(window + 0x1000, [.user, .write])
        == GuestFault(.pageFault, errorCode: 6, address: window + 0x1000))
    #expect(fault(window, []) == GuestFault(.pageFault, errorCode: 0, address: window))
    #expect(
      fault(0x80_0000_0000, .execute)
        == GuestFault(.pageFault, errorCode: 16, address: 0x80_0000_0000))
  }

  @Test func `reserved bits fault with RSVD`() throws {
    try machine.map(0, to: 0x10_0000, flags: 1 << 46 | 7)
    #expect(fault(window, .user)?.errorCode == 0b1101)
    try machine.map(0, to: 0x10_0000, flags: 1 << 52 | 7)
    #expect(fault(window, .user) == nil)
    try machine.map(0, to: 0x10_0000, flags: 1 << 63 | 7)
    machine.processor.cpu.efer.remove(.noExecute)
    #expect(fault(window, .user)?.errorCode == 0b1101)
  }

  @Test func `tables outside memory read as all ones`() throws {
    try machine.memory.store(UInt64(0x3f_ffff_f007), at: SystemMachine.root + 0x3008)
    #expect(fault(window + 0x20_0000, [])?.errorCode == 0b1001)
  }

  @Test func `large pages keep their low address bits, and reserve those below the frame`() throws {
    let place = SystemMachine.root + 0x3008
    try machine.memory.store(UInt64(0x40_0083 | 4), at: place)
    let found = try machine.processor.translate(window + 0x20_0000 + 0x12_3456, .user)
    #expect(found.page == 0x52_3000)
    #expect(found.pageShift == 21)
    try machine.memory.store(UInt64(0x40_2083), at: place)
    #expect(fault(window + 0x20_0000, [])?.errorCode == 0b1001)
    // PAT in a large page.
    try machine.memory.store(UInt64(0x40_1083), at: place)
    #expect(fault(window + 0x20_0000, []) == nil)
    // 1 GiB, and the level above it, which has no large pages.
    try machine.memory.store(UInt64(0x8000_0083), at: SystemMachine.root + 0x1010)
    let giant = try machine.processor.translate(0x8765_4321, [])
    #expect(giant.page == 0x8765_4000)
    #expect(giant.pageShift == 30)
    try machine.memory.store(UInt64(0x83), at: SystemMachine.root + 8)
    #expect(fault(0x80_0000_0000, [])?.errorCode == 0b1001)
  }

  @Test func `rights are those of all levels`() throws {
    try machine.map(0, to: 0x10_0000, flags: 7)
    try machine.memory.store(SystemMachine.entries | 1, at: SystemMachine.root + 0x3000)
    #expect(fault(window, .user)?.errorCode == 5)
    #expect(fault(window, .write)?.errorCode == 3)
    try machine.memory.store(
      SystemMachine.entries | 1 << 63 | 7, at: SystemMachine.root + 0x3000)
    #expect(fault(window, [.user, .execute])?.errorCode == 21)
  }

  @Test func `a clean page is writable only once it has been written`() throws {
    try machine.map(0, to: 0x10_0000, flags: 0x107)
    let clean = try machine.processor.translate(window, .user)
    #expect(clean.rights == [.writable, .user, .global])
    let dirty = try machine.processor.translate(window, [.user, .write])
    #expect(dirty.rights == [.writable, .user, .global, .writableNow])
    #expect(try machine.processor.translate(window, .user).rights.contains(.writableNow))
  }

  @Test func `supervisor writes to read-only pages count as writable without WP`() throws {
    try machine.map(0, to: 0x10_0000, flags: 1)
    machine.processor.cpu.cr0.remove(.writeProtect)
    #expect(try machine.processor.translate(window, .write).rights == .writableNow)
  }

  @Test func `addresses that are not canonical are general protection faults`() {
    #expect(fault(0x8000_0000_0000, []) == .protection)
    #expect(fault(0xffff_7fff_ffff_ffff, []) == .protection)
    #expect(fault(0xffff_8000_0000_0000, [])?.vector == .pageFault)
  }

  @Test func `32-bit tables, with and without 4 MiB pages`() throws {
    machine.enterProtected()
    machine.processor.cpu.cr0 = [.protection, .paging, .writeProtect]
    machine.processor.cpu.cr4 = []
    machine.processor.cpu.cr3 = 0x20000
    try machine.memory.store(UInt32(0x21007), at: 0x20000)
    try machine.memory.store(UInt32(0x5003), at: 0x21004)
    #expect(try machine.processor.translate(0x1234, .write).page == 0x5000)
    #expect(try machine.memory.load(UInt32.self, at: 0x21004) == 0x5063)
    #expect(try machine.memory.load(UInt32.self, at: 0x20000) == 0x21027)
    #expect(fault(0x1234, .user)?.errorCode == 5)
    #expect(fault(0x2000, .execute)?.errorCode == 0)
    machine.processor.cpu.cr4 = .pageSizeExtensions
    try machine.memory.store(UInt32(0x0040_0087 | 0x2000), at: 0x20004)
    let large = try machine.processor.translate(0x41_2345, .user)
    #expect(large.page == 0x1_0041_2000)
    #expect(large.pageShift == 22)
  }

  @Test func `PAE takes its first level from the registers that CR3 loaded`() throws {
    machine.enterProtected()
    machine.processor.cpu.cr0 = [.protection, .paging, .writeProtect]
    machine.processor.cpu.cr4 = .physicalAddressExtension
    try machine.memory.store(UInt64(0x22001), at: 0x20008)
    try machine.processor.writeCR3(0x20000)
    try machine.memory.store(UInt64(0), at: 0x20008)
    try machine.memory.store(UInt64(0x23007), at: 0x22000)
    try machine.memory.store(UInt64(0x5007), at: 0x23000)
    #expect(try machine.processor.translate(0x4000_0abc, .user).page == 0x5000)
    #expect(fault(0x8000_0000, [])?.errorCode == 0)
    try machine.memory.store(UInt64(0x22003), at: 0x20000)
    #expect(throws: GuestFault.protection) { try machine.processor.writeCR3(0x20000) }
  }

  @Test func `without paging addresses are physical`() throws {
    machine.enterProtected()
    #expect(try machine.processor.translate(0x1234_5678, [.user, .write]).page == 0x1234_5000)
  }
}

@Suite struct LinearMemoryTests {
  let machine: SystemMachine
  let window = SystemMachine.window
  init() throws { machine = try SystemMachine() }

  @Test func `values cross pages wherever those are`() throws {
    try machine.map(0, to: 0x10_0000, flags: 3)
    try machine.map(1, to: 0x30_0000, flags: 3)
    for size in 1...8 {
      let value: UInt64 = 0x8877_6655_4433_2211 & (size == 8 ? .max : 1 << (8 * size) - 1)
      for start in (0x1000 - size)...0x1000 {
        let place = window + UInt64(start)
        try machine.processor.writeLinear(place, size: size, value: value, as: .write)
        #expect(try machine.processor.readLinear(place, size: size, as: []) == value)
      }
    }
    #expect(try machine.memory.load(UInt8.self, at: 0x30_0000) == 0x11)
  }

  @Test func `a write that faults in its second page writes nothing`() throws {
    try machine.map(0, to: 0x10_0000, flags: 3)
    #expect(throws: GuestFault(.pageFault, errorCode: 2, address: window + 0x1000)) {
      try machine.processor.writeLinear(window + 0xffc, size: 8, value: .max, as: .write)
    }
    #expect(try machine.memory.load(UInt32.self, at: 0x10_0ffc) == 0)
  }

  @Test func `devices see the access as it is`() throws {
    try machine.map(0, to: 0xd000_0000, flags: 3)
    try machine.processor.writeLinear(window + 4, size: 4, value: 0x1_2345_6789, as: .write)
    #expect(machine.environment.deviceMemory.count == 4)
    #expect(try machine.processor.readLinear(window + 4, size: 4, as: []) == 0x2345_6789)
  }
}
