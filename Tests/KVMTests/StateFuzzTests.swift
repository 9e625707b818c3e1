import Foundation
import GuestMemory
import KVM
import KVMSoft
import SeededRandom
import Synchronization
import Testing
import X86

/// Processors with nonsense in every register, and in the page tables too.
@Suite struct SoftStateFuzzTests {
  private func segment(_ random: inout SeededGenerator) -> SegmentRegister {
    SegmentRegister(
      base: number(&random), limit: UInt32(truncatingIfNeeded: number(&random)),
      selector: UInt16.random(in: 0...(.max), using: &random),
      attributes: SegmentAttributes(rawValue: UInt16.random(in: 0...(.max), using: &random)))
  }

  /// Small ones, so that something is there, and wild ones.
  private func number(_ random: inout SeededGenerator) -> UInt64 {
    switch random.next() & 3 {
    case 0: random.next()
    case 1: random.next() & 0xffff_ffff
    default: random.next() & 0xf_ffff
    }
  }

  private func special(_ random: inout SeededGenerator) -> SpecialRegisters {
    var values = SpecialRegisters()
    values.cs = segment(&random)
    (values.ds, values.es, values.fs) = (segment(&random), segment(&random), segment(&random))
    (values.gs, values.ss) = (segment(&random), segment(&random))
    (values.tr, values.ldt) = (segment(&random), segment(&random))
    values.gdt = DescriptorTable(base: number(&random), limit: 0xffff)
    values.idt = DescriptorTable(base: number(&random), limit: 0xffff)
    values.cr0.rawValue = random.next() & 0xe005_003f
    values.cr2 = number(&random)
    values.cr3 = number(&random) & 0x3fff_ffff_ffff
    values.cr4.rawValue = random.next() & 0x37_0fff
    values.efer.rawValue = random.next() & 0xd01
    values.cr8 = random.next() & 0xf
    if random.next() & 1 == 0 {
      // What belongs to long mode together, so that it is often let through.
      values.cr0.formUnion([.protection, .paging])
      values.cr4.insert(.physicalAddressExtension)
      values.efer.formUnion([.longModeEnable, .longModeActive])
    } else {
      values.efer.remove(.longModeActive)
      values.cs.attributes[.long] = false
      if !values.cr0.contains(.protection) { values.cr0.remove(.paging) }
    }
    if !values.cr0.contains(.cacheDisable) { values.cr0.remove(.notWriteThrough) }
    return values
  }

  private func registers(_ random: inout SeededGenerator) -> Registers {
    var values = Registers()
    (values.rax, values.rbx, values.rcx) = (number(&random), number(&random), number(&random))
    (values.rdx, values.rsi, values.rdi) = (number(&random), number(&random), number(&random))
    (values.rsp, values.rbp, values.r8) = (number(&random), number(&random), number(&random))
    values.rip = number(&random)
    values.rflags.rawValue = random.next() & 0x3f_7fff
    return values
  }

  /// Random bytes, and at 0x80000 tables that map the first gigabyte to itself for everybody.
  private func fill(_ memory: GuestMemory, _ random: inout SeededGenerator) throws {
    for address in stride(from: UInt64(0), to: 1 << 20, by: 8) {
      try memory.store(random.next() & random.next(), at: address)
    }
    try memory.store(UInt64(0x81007), at: 0x80000)
    try memory.store(UInt64(0x82007), at: 0x81000)
    for index in UInt64(0)..<512 { try memory.store(index << 21 | 0x87, at: 0x82000 + index * 8) }
  }

  private func replaceState(of cpu: SoftCPU, _ random: inout SeededGenerator) throws {
    var special = special(&random)
    if random.next() & 3 == 0 { special.cr3 = 0x80000 }
    try cpu.setSpecialRegisters(special)
    try cpu.setRegisters(registers(&random))
    if random.next() & 7 == 0 {
      var debug = DebugRegisters()
      for index in 0..<4 { debug.addresses[index] = number(&random) }
      debug.dr7 = random.next() & 0xffff_ffff
      try cpu.setDebugRegisters(debug)
    }
    if random.next() & 7 == 0 {
      var events = ProcessorEvents()
      events.exception.isInjected = random.next() & 1 == 0
      events.exception.vector = UInt8(random.next() & 31)
      events.exception.errorCode = random.next() & 1 == 0 ? 5 : nil
      events.interrupt.isInjected = random.next() & 1 == 0
      events.nonMaskable.isBlocked = random.next() & 1 == 0
      try? cpu.setEvents(events)
    }
    let steps = random.next() & 7 == 0
    try cpu.setGuestDebug(GuestDebug(steps ? [.enable, .singleStep] : []))
  }

  /// APUS_SEED repeats a run, APUS_ROUNDS makes a longer one.
  @Test func `a guest in any state ends in an exit`() throws {
    let environment = ProcessInfo.processInfo.environment
    let seed = environment["APUS_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...(.max))
    let rounds = environment["APUS_ROUNDS"].flatMap { Int($0) } ?? 3000
    print("state fuzz: APUS_SEED=\(seed)")
    var random = SeededGenerator(seed: seed)
    let guest = try SoftGuest([])
    let cpu = try guest.start()
    let (watchdog, doorbell) = (Watchdog(), cpu.doorbell)
    let ringer = Thread {
      while !watchdog.isOver.load(ordering: .relaxed) {
        usleep(500)
        doorbell.ring()
      }
    }
    ringer.start()
    var accepted = 0
    for round in 0..<rounds {
      if round % 50 == 0 { try fill(guest.memory, &random) }
      guard (try? replaceState(of: cpu, &random)) != nil else { continue }
      accepted += 1
      for _ in 0..<8 {
        if case .stopped = try cpu.run() { break }
        cpu.answer(random.next())
      }
    }
    watchdog.isOver.store(true, ordering: .relaxed)
    while !ringer.isFinished { usleep(1000) }
    #expect(accepted > rounds / 5)
  }
}
