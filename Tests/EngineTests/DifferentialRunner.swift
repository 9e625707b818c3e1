import CNative
import Engine
import Foundation
import SeededRandom
import X86

/// Runs cases natively and in the engine, and compares.
final class DifferentialRunner {
  let area: UnsafeMutablePointer<native_area>
  private(set) var guest: GuestMachine
  /// ES, CS, SS, DS, FS and GS after the last segmented case.
  private(set) var selectorsAtEnd: [UInt16] = []

  init(poolSeed: UInt64 = 1) throws {
    guard let made = native_area_make() else { throw POSIXError(.ENOMEM) }
    area = made
    guest = try GuestMachine()
    var random = SeededGenerator(seed: poolSeed)
    let pool = UnsafeMutableRawPointer(native_pool(area))
    for offset in stride(from: 0, to: Int(NATIVE_POOL_SIZE + NATIVE_DATA_SIZE), by: 8) {
      var word = random.next()
      // Enough small numbers and addresses for pointers in memory to mean something.
      if random.chance(25) { word = UInt64(NATIVE_DATA) + UInt64(random.below(0x2000)) }
      if random.chance(25) { word = UInt64(random.below(200)) }
      pool.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
    }
  }

  deinit { native_area_free(area) }

  func native(_ index: Int) -> UnsafeMutablePointer<native_case> {
    native_case_at(area, Int32(index))
  }

  /// Runs the first `count` cases natively; a case that ends the child is marked as lost.
  func runNative(_ count: Int) {
    area.pointee.count = UInt32(count)
    guard native_run(area) != 0 else { return }
    for index in 0..<count {
      area.pointee.count = 1
      let saved = native(0).pointee
      if index != 0 { native(0).pointee = native(index).pointee }
      if native_run(area) != 0 { native(0).pointee.after.trap = UInt64(NATIVE_LOST) }
      if index != 0 {
        native(index).pointee = native(0).pointee
        native(0).pointee = saved
      }
    }
  }

  /// Runs one case from scratch on a fresh machine and on a fresh child.
  func runAlone(_ test: DifferentialCase, _ variant: GuestVariant) throws -> CaseOutcome {
    guard test.write(to: native(0)) else { return .skipped }
    runNative(1)
    guest = try GuestMachine()
    return try compare(test, 0, variant)
  }

  /// Runs native case `index` in the guest and compares the ends.
  func compare(
    _ test: DifferentialCase, _ index: Int, _ variant: GuestVariant
  ) throws -> CaseOutcome {
    let reference = native(index)
    guard reference.pointee.after.trap != UInt64(NATIVE_LOST) else { return .skipped }
    var host = SnippetState(reference.pointee.after)
    host.normalizeExtended()
    var engine = try runGuest(test, reference, variant)
    engine.normalizeExtended()
    if test.isProcessorSpecific(host, engine) { return .skipped }
    var found = host.differences(from: engine)
    // A call to an address that is not canonical has pushed its return address already.
    let isCall = test.snippet.items.contains { $0.bytes.contains(0xff) }
    if host.vector != 13 || !isCall { found += memoryDifferences(reference) }
    return found.isEmpty ? .agreed : .differed(found)
  }

  func memoryDifferences(_ reference: UnsafeMutablePointer<native_case>) -> [String] {
    let expected = UnsafeRawPointer(native_memory(reference))
    var found: [String] = []
    for page in 0..<3 {
      let actual = guest.host(GuestMachine.data[page], count: 4096)
      let wanted = UnsafeRawBufferPointer(start: expected + page * 4096, count: 4096)
      guard !actual.elementsEqual(wanted) else { continue }
      for at in 0..<4096 where found.count < 8 {
        let (host, engine) = (
          wanted[at], actual[at]
        )
        if host != engine {
          let address = String(Int(NATIVE_DATA) + page * 4096 + at, radix: 16)
          found.append(
            "[\(address)]: host \(String(host, radix: 16)), engine \(String(engine, radix: 16))")
        }
      }
    }
    return found
  }

  /// Runs the case's snippet in the guest up to its INT3 or another exception.
  func runGuest(
    _ test: DifferentialCase, _ reference: UnsafeMutablePointer<native_case>,
    _ variant: GuestVariant
  ) throws -> SnippetState {
    placeCode(reference)
    defer { removeCode(reference) }
    let isLazy = variant == .lazyPages || variant == .interrupted
    if isLazy { try unmapData() }
    setState(test, variant)
    let end = try runToEnd(variant)
    if isLazy { for page in 0..<3 { try guest.mapData(page) } }
    return end
  }

  private func code(of reference: UnsafeMutablePointer<native_case>) -> (UInt64, Int) {
    let physical = GuestMachine.code + reference.pointee.code_address - UInt64(NATIVE_CODE)
    return (physical, Int(reference.pointee.code_length))
  }

  /// Puts a case's code and initial memory in place.
  private func placeCode(_ reference: UnsafeMutablePointer<native_case>) {
    let (physical, length) = code(of: reference)
    withUnsafeBytes(of: &reference.pointee.code) {
      guest.host(physical, count: length)
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<length]))
    }
    guest.processor.group.memoryChanged(at: physical, count: length)
    for page in 0..<3 {
      let start = native_pool(area) + Int(reference.pointee.memory_offset) + page * 4096
      guest.host(GuestMachine.data[page], count: 4096)
        .copyMemory(from: UnsafeRawBufferPointer(start: start, count: 4096))
    }
  }

  private func removeCode(_ reference: UnsafeMutablePointer<native_case>) {
    let (physical, length) = code(of: reference)
    guest.host(physical, count: length).copyBytes(from: repeatElement(0xcc, count: length))
    guest.processor.group.memoryChanged(at: physical, count: length)
  }

  /// Runs a segmented case in the guest up to its INT3 or another exception.
  func runSegmented(
    _ test: SegmentedCase, _ reference: UnsafeMutablePointer<native_case>
  ) throws -> SnippetState {
    placeCode(reference)
    defer { removeCode(reference) }
    let processor = guest.processor
    guest.enterUser(compatibility: true)
    for entry in 0..<Int32(NATIVE_DESCRIPTORS) {
      try guest.memory.store(
        native_descriptor(entry), at: SegmentedDifferential.table + UInt64(entry) * 8)
    }
    processor.cpu[.localTable] = SegmentRegister(
      base: GuestMachine.kernel + SegmentedDifferential.table,
      limit: UInt32(NATIVE_DESCRIPTORS) * 8 - 1, selector: 0x50,
      attributes: .init(rawValue: 0x82))
    for (index, name) in Self.segments.enumerated() {
      processor.cpu[name] = SegmentedCase.register(test.selectors[index])
    }
    setRegisters(test.before, test.variant)
    let end = try runToEnd(test.variant)
    selectorsAtEnd = Self.segments.map { processor.cpu[$0].selector }
    guard let frame = try guest.frame() else { return end }
    selectorsAtEnd[1] = try guest.memory.load(UInt16.self, at: frame.pointer + 8)
    selectorsAtEnd[2] = try guest.memory.load(UInt16.self, at: frame.pointer + 32)
    return end
  }

  private static let segments: [SegmentName] = [.es, .cs, .ss, .ds, .fs, .gs]

  private func unmapData() throws {
    for page in 0..<UInt64(3) {
      try guest.memory.store(UInt64(0), at: GuestMachine.dataTable + page * 8)
    }
    try guest.processor.writeCR3(GuestMachine.tables)
  }

  private func setState(_ test: DifferentialCase, _ variant: GuestVariant) {
    guest.enterUser(compatibility: test.isCompatibility)
    setRegisters(test.before, variant)
  }

  private func setRegisters(_ before: SnippetState, _ variant: GuestVariant) {
    let processor = guest.processor
    for index in 0..<16 { processor.cpu.registers[index] = before.registers[index] }
    processor.cpu.instructionPointer = before.instructionPointer
    let step: UInt64 = variant == .stepping ? 0x100 : 0
    processor.cpu.flags = .init(rawValue: before.flags | step)
    processor.cpu.debugRegisters[6] = 0xffff_0ff0
    before.extended.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: processor.extendedArea, count: 832)
        .copyMemory(from: $0)
    }
  }

  private func runToEnd(_ variant: GuestVariant) throws -> SnippetState {
    let processor = guest.processor
    if variant == .interrupted { interrupt() }
    for _ in 0..<20_000 {
      let reason = processor.runGuest()
      processor.cpu.halted = 0
      guard reason == .halted, let frame = try guest.frame() else {
        var state = SnippetState()
        state.vector = 1000 + UInt64(reason.rawValue)
        state.instructionPointer = processor.cpu.instructionPointer
        return state
      }
      guard try goesOn(frame, variant) else { return try finalState(frame) }
    }
    var state = SnippetState()
    state.vector = 2000
    return state
  }

  /// Whether the exception is one that the variant provokes; the guest can go on then.
  private func goesOn(_ frame: GuestMachine.Frame, _ variant: GuestVariant) throws -> Bool {
    switch variant {
    case .plain: return false
    case .stepping: return frame.vector == 1
    case .interrupted where frame.vector == 0x80: return true
    case .lazyPages, .interrupted:
      let page = guest.processor.cpu.cr2 &- UInt64(NATIVE_DATA)
      guard frame.vector == 14, frame.errorCode & 1 == 0, page < UInt64(NATIVE_DATA_SIZE) else {
        return false
      }
      try guest.mapData(Int(page >> 12))
      if variant == .interrupted { interrupt() }
      return true
    }
  }

  private func interrupt() {
    guest.environment.interrupts = [0x80]
    guest.processor.doorbell.ring()
  }

  private func finalState(_ frame: GuestMachine.Frame) throws -> SnippetState {
    guest.environment.interrupts = []
    _ = guest.processor.doorbell.answer()
    var state = SnippetState()
    for index in 0..<16 { state.registers[index] = guest.processor.cpu.registers[index] }
    state.registers[4] = try guest.memory.load(UInt64.self, at: frame.pointer + 24)
    state.instructionPointer = try guest.memory.load(UInt64.self, at: frame.pointer)
    state.flags = try guest.memory.load(UInt64.self, at: frame.pointer + 16)
    state.vector = frame.vector
    state.errorCode = frame.errorCode
    state.address = guest.processor.cpu.cr2
    state.extended.withUnsafeMutableBytes {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: guest.processor.extendedArea, count: 832))
    }
    return state
  }
}
