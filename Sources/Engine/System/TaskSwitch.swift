internal import X86

/// What makes the processor switch tasks.
enum TaskSwitchCause: BitwiseCopyable {
  case jump, call, interrupt, taskReturn
  /// Whether the new task returns to the old one.
  var nests: Bool { self == .call || self == .interrupt }
}

/// Where a task-state segment keeps things, in its two formats.
///
/// Reference: SDM vol. 3A, sections 7.2 and 7.6.
private struct TaskFormat: BitwiseCopyable {
  var isWide: Bool
  var word: Int { isWide ? 4 : 2 }
  /// The least limit.
  var limit: UInt32 { isWide ? 103 : 43 }
  /// The instruction pointer; flags, eight registers and the segments follow.
  var pointer: Int { isWide ? 32 : 14 }
  var segments: Int { pointer + 10 * word }
  var segmentCount: Int { isWide ? 6 : 4 }
  var localTable: Int { segments + segmentCount * word }
  static let pageTable = 28
}

/// A task state in memory, translated before anything changes.
private struct TaskState: BitwiseCopyable {
  var format: TaskFormat
  var window: LinearWindow
}

/// Hardware task switching. Reference: SDM vol. 3A, section 7.3.
extension Processor {
  /// IRET with NT set; when the task it leaves is called again, it goes on behind the IRET.
  func returnFromTask(_ length: UInt8) throws(GuestFault) {
    let link = try readLinear(cpu[.task].base & linearMask, size: 2, as: .tableRead)
    let selector = UInt16(truncatingIfNeeded: link)
    let next = (cpu.instructionPointer &+ UInt64(length)) & 0xffff_ffff
    try switchTask(to: selector, cause: .taskReturn, returnAddress: next, 0)
  }

  /// Saves the current task and loads another. What faults once the new task's registers are in
  /// is the new task's fault.
  func switchTask(
    to selector: UInt16, cause: TaskSwitchCause, returnAddress: UInt64, _ external: UInt32
  ) throws(GuestFault) {
    var target = try taskDescriptor(selector, cause, external)
    let old = try taskState(
      cpu[.task], old: true, selector: cpu[.task].selector, external)
    let new = try taskState(target.register(selector), old: false, selector: selector, external)
    let oldSelector = cpu[.task].selector
    if !cause.nests { try markBusy(oldSelector, false) }
    if cause != .taskReturn {
      target.rawValue |= 2 << 40
      try storeAccessByte(target, selector)
    }
    save(to: old, returnAddress: returnAddress, endsNesting: cause == .taskReturn)
    if cause.nests { put(UInt64(oldSelector), new, 0, 2) }
    cpu[.task] = target.register(selector)
    cpu[.task].attributes[.type] |= 2
    cpu.cr0.insert(.taskSwitched)
    cpu.debugRegisters[7] &= ~0x155  // the local breakpoints' enable bits
    let selectors = loadRegisters(from: new, nests: cause.nests)
    try loadSegments(selectors, external)
  }

  private func taskDescriptor(
    _ selector: UInt16, _ cause: TaskSwitchCause, _ external: UInt32
  ) throws(GuestFault) -> Descriptor {
    let fault: ExceptionVector = cause == .taskReturn ? .invalidTaskState : .generalProtection
    let refused = GuestFault(fault, errorCode: UInt32(selector & 0xfffc) | external)
    guard selector & 4 == 0, selector & 0xfffc != 0, !cpu.isLongMode,
      let target = try descriptor(selector)
    else { throw refused }
    switch target.systemType {
    case .availableTask16, .availableTask32: if cause == .taskReturn { throw refused }
    case .busyTask16, .busyTask32: if cause != .taskReturn { throw refused }
    default: throw refused
    }
    guard target.isPresent else { throw .notPresent(selector, external) }
    return target
  }

  private func taskState(
    _ register: SegmentRegister, old: Bool, selector: UInt16, _ external: UInt32
  ) throws(GuestFault) -> TaskState {
    let format = TaskFormat(isWide: register.attributes[.type] & 8 != 0)
    guard register.limit >= format.limit else { throw .taskState(selector, external) }
    let window = try window(
      register.base & linearMask, Int(format.limit) + 1, as: .tableWrite)
    return TaskState(format: format, window: window)
  }

  private func markBusy(_ selector: UInt16, _ isBusy: Bool) throws(GuestFault) {
    guard var task = try descriptor(selector) else { return }
    task.rawValue = isBusy ? task.rawValue | 2 << 40 : task.rawValue & ~(2 << 40)
    try storeAccessByte(task, selector)
  }

  private func put(_ value: UInt64, _ task: TaskState, _ offset: Int, _ size: Int) {
    unsafe withUnsafeBytes(of: value) { bytes in
      unsafe copy(
        from: UnsafeRawBufferPointer(rebasing: bytes[..<size]), to: task.window, at: offset)
    }
  }

  private func get(_ task: TaskState, _ offset: Int, _ size: Int) -> UInt64 {
    var value: UInt64 = 0
    unsafe withUnsafeMutableBytes(of: &value) { bytes in
      unsafe copy(
        from: task.window, at: offset, to: UnsafeMutableRawBufferPointer(rebasing: bytes[..<size]))
    }
    return value
  }

  private func save(to task: TaskState, returnAddress: UInt64, endsNesting: Bool) {
    let (word, pointer) = (task.format.word, task.format.pointer)
    var flags = cpu.flags.rawValue
    if endsNesting { flags &= ~RFLAGS.nestedTask.rawValue }
    put(returnAddress, task, pointer, word)
    put(flags, task, pointer + word, word)
    for index in 0..<8 {
      put(cpu.registers[index], task, pointer + (2 + index) * word, word)
    }
    for index in 0..<task.format.segmentCount {
      put(UInt64(cpu.segments[index].selector), task, task.format.segments + index * word, 2)
    }
  }

  /// Loads what cannot fault; returns the selectors of ES to GS and of the local table.
  private func loadRegisters(from task: TaskState, nests: Bool) -> InlineArray<7, UInt16> {
    let (word, pointer) = (task.format.word, task.format.pointer)
    if task.format.isWide && cpu.cr0.contains(.paging) {
      let table = get(task, TaskFormat.pageTable, 4)
      if table != cpu.cr3 { loadTaskPageTable(table) }
    }
    cpu.instructionPointer = get(task, pointer, word)
    var flags = get(task, pointer + word, word) & RFLAGS.writable.rawValue
    if nests { flags |= RFLAGS.nestedTask.rawValue }
    cpu.flags = RFLAGS(rawValue: flags | 2)
    for index in 0..<8 {
      let value = get(task, pointer + (2 + index) * word, word)
      setRegister(UInt8(index), size: 4, task.format.isWide ? value : value | 0xffff_0000)
    }
    var selectors: InlineArray<7, UInt16> = .init(repeating: 0)
    for index in 0..<task.format.segmentCount {
      let value = get(task, task.format.segments + index * word, 2)
      selectors[index] = UInt16(truncatingIfNeeded: value)
    }
    selectors[6] = UInt16(truncatingIfNeeded: get(task, task.format.localTable, 2))
    return selectors
  }

  /// The new task's segments, each checked; a selector that does not fit is its #TS.
  private func loadSegments(
    _ selectors: InlineArray<7, UInt16>, _ external: UInt32
  ) throws(GuestFault) {
    for name in [SegmentName.es, .cs, .ss, .ds, .fs, .gs] {
      cpu[name] = .null(selectors[Int(name.rawValue)])
    }
    cpu[.localTable] = .null(selectors[6])
    try asTaskFault(selectors[6], external) { () throws(GuestFault) in
      try loadLocalTable(selectors[6])
    }
    if cpu.isVirtual8086 {
      cpu.privilege = 3
      for name in [SegmentName.es, .cs, .ss, .ds, .fs, .gs] {
        loadRealSegment(name, selectors[Int(name.rawValue)])
      }
      return
    }
    let code = selectors[Int(SegmentName.cs.rawValue)]
    cpu.privilege = 0
    guard code & 0xfffc != 0 else { throw .taskState(code, external) }
    let descriptor = try asTaskFault(code, external) { () throws(GuestFault) in
      try returnSegment(code)
    }
    cpu[.cs] = descriptor.register(code)
    cpu.privilege = UInt8(code & 3)
    for name in [SegmentName.ss, .es, .ds, .fs, .gs] {
      let selector = selectors[Int(name.rawValue)]
      try asTaskFault(selector, external) { () throws(GuestFault) in
        try loadSegment(name, selector)
      }
    }
    try checkTarget(cpu.instructionPointer, descriptor)
  }

  private func asTaskFault<Value>(
    _ selector: UInt16, _ external: UInt32, _ body: () throws(GuestFault) -> Value
  ) throws(GuestFault) -> Value {
    do {
      return try body()
    } catch {
      throw error.vector == .generalProtection ? .taskState(selector, external) : error
    }
  }

  private func loadTaskPageTable(_ table: UInt64) {
    cpu.cr3 = table
    if cpu.usesPageDirectoryPointers { loadPageDirectoryPointers() }
    switchAddressSpace(keeping: false)
  }
}
