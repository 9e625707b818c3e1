internal import CLinux
internal import X86

/// Up to one page's worth of linear memory after translation: one physical run, or two where a
/// page boundary is inside. All faults are behind once there is a window.
@safe
struct LinearWindow: BitwiseCopyable {
  @safe struct Run: BitwiseCopyable {
    /// Known where it matters: for devices, and for pages that may have translated code.
    var physical: UInt64
    /// `nil` where a device answers, or where read-only memory is to be written.
    var host: UnsafeMutableRawPointer?
    var count: Int
    /// Whether the translator must hear of writes.
    var isWatched = false
  }
  var first: Run
  var second: Run
}

extension Processor {
  /// Where the byte at a guest-physical address is in this process, to the end of its page.
  @inline(always)
  func hostPointer(_ physical: UInt64) -> UnsafeMutableRawPointer? {
    let physical = physical | addressSpace
    guard let slot = slots.find(physical) else { return nil }
    return unsafe reachable(slot.pointer(to: physical), write: false)
  }

  /// As ``hostPointer(_:)``, to be written at once; `nil` for read-only memory.
  @inline(always)
  func writableHostPointer(_ physical: UInt64) -> UnsafeMutableRawPointer? {
    let physical = physical | addressSpace
    guard let slot = slots.find(physical), !slot.isReadOnly else { return nil }
    noteWritten(slot, physical)
    return unsafe reachable(slot.pointer(to: physical), write: true)
  }

  /// The same pointer, but between runs, when nobody would catch the fault, `nil` where the process
  /// cannot reach its memory.
  @inline(always)
  private func reachable(
    _ pointer: UnsafeMutableRawPointer, write: Bool
  ) -> UnsafeMutableRawPointer? {
    if unsafe recovery.pointee.thunk != 0 { return unsafe pointer }
    let address = UInt(bitPattern: pointer)
    return unsafe apus_can_reach(address, write ? 1 : 0) != 0 ? pointer : nil
  }

  /// How far linear addresses go before they wrap.
  @inline(always)
  var linearMask: UInt64 { cpu.efer.contains(.longModeActive) ? .max : 0xffff_ffff }

  /// How the current privilege level reads data.
  @inline(always)
  package var dataRead: MemoryAccess { cpu.privilege == 3 ? .user : [] }
  /// How the current privilege level writes data.
  @inline(always)
  package var dataWrite: MemoryAccess { cpu.privilege == 3 ? [.user, .write] : .write }

  /// Translates `count` bytes, at most 4096, for one kind of access.
  func window(
    _ linear: UInt64, _ count: Int, as access: MemoryAccess
  ) throws(GuestFault) -> LinearWindow {
    let inPage = 0x1000 - Int(linear & 0xfff)
    let first = try run(linear, min(count, inPage), access)
    guard count > inPage else {
      return unsafe LinearWindow(
        first: first, second: LinearWindow.Run(physical: 0, host: nil, count: 0))
    }
    let next = (linear &+ UInt64(inPage)) & linearMask
    return LinearWindow(first: first, second: try run(next, count - inPage, access))
  }

  /// Finds up to a page's end in the soft TLB, or else walks the tables and enters the page there.
  @inline(always)
  private func run(
    _ linear: UInt64, _ count: Int, _ access: MemoryAccess
  ) throws(GuestFault) -> LinearWindow.Run {
    let isWrite = access.contains(.write)
    if let host = unsafe softTLB.lookup(view(for: access), linear, write: isWrite) {
      return unsafe LinearWindow.Run(physical: 0, host: host, count: count)
    }
    return try walkedRun(linear, count, access)
  }

  private func walkedRun(
    _ linear: UInt64, _ count: Int, _ access: MemoryAccess
  ) throws(GuestFault) -> LinearWindow.Run {
    let isWrite = access.contains(.write)
    let translated = try translate(linear, access)
    if !access.contains(.implicit) { noteWatched(linear, count, isWrite: isWrite) }
    let physical = translated.page | (linear & 0xfff)
    let found = findPage(translated, linear, write: isWrite)
    if found.isDirect { fillTLB(view(for: access), linear, translated, found) }
    return unsafe LinearWindow.Run(
      physical: physical, host: found.host, count: count, isWatched: !found.isDirect)
  }

  /// The soft TLB that serves an access.
  @inline(always)
  private func view(for access: MemoryAccess) -> MemoryView {
    if access.contains(.user) { return .user }
    let excused =
      !access.contains(.implicit) && cpu.systemFlags & RFLAGS.alignmentCheck.rawValue != 0
    let isGuarded = cpu.cr4.contains(.supervisorAccessPrevention) && !excused
    return isGuarded ? .supervisor : .supervisorAllowingUser
  }

  /// Reads 1 to 8 bytes.
  package func readLinear(
    _ linear: UInt64, size: Int, as access: MemoryAccess
  ) throws(GuestFault) -> UInt64 {
    if Int(linear & 0xfff) + size <= 0x1000 {
      return readPhysical(try run(linear, size, access))
    }
    return readValue(try window(linear, size, as: access))
  }

  /// Writes the low 1 to 8 bytes of a value; nothing is written where any byte's page faults.
  package func writeLinear(
    _ linear: UInt64, size: Int, value: UInt64, as access: MemoryAccess
  ) throws(GuestFault) {
    let access = access.union(.write)
    if Int(linear & 0xfff) + size <= 0x1000 {
      writePhysical(try run(linear, size, access), value)
    } else {
      writeValue(value, to: try window(linear, size, as: access))
    }
  }

  /// Fills a buffer of at most 4096 bytes from linear memory.
  package func readLinear(
    _ linear: UInt64, into buffer: UnsafeMutableRawBufferPointer, as access: MemoryAccess
  ) throws(GuestFault) {
    let window = try window(linear, buffer.count, as: access)
    unsafe copy(from: window, at: 0, to: buffer)
  }

  /// Writes a buffer of at most 4096 bytes; nothing is written where any byte's page faults.
  package func writeLinear(
    _ linear: UInt64, from buffer: UnsafeRawBufferPointer, as access: MemoryAccess
  ) throws(GuestFault) {
    let window = try window(linear, buffer.count, as: access.union(.write))
    unsafe copy(from: buffer, to: window, at: 0)
  }
}

extension Processor {
  /// The value of a window of at most 8 bytes.
  func readValue(_ window: LinearWindow) -> UInt64 {
    let low = readPhysical(window.first)
    guard window.second.count > 0 else { return low }
    return low | readPhysical(window.second) &<< UInt64(8 &* window.first.count)
  }

  /// Stores into a window of at most 8 bytes.
  func writeValue(_ value: UInt64, to window: LinearWindow) {
    writePhysical(window.first, value)
    if window.second.count > 0 {
      writePhysical(window.second, value &>> UInt64(8 &* window.first.count))
    }
  }

  @inline(always)
  private func readPhysical(_ run: LinearWindow.Run) -> UInt64 {
    guard let host = unsafe run.host else {
      return readDevice(run.physical, run.count)
    }
    switch run.count {
    case 8: return unsafe host.loadUnaligned(as: UInt64.self)
    case 4: return UInt64(unsafe host.loadUnaligned(as: UInt32.self))
    case 2: return UInt64(unsafe host.loadUnaligned(as: UInt16.self))
    case 1: return UInt64(unsafe host.load(as: UInt8.self))
    default:
      var value: UInt64 = 0
      unsafe withUnsafeMutableBytes(of: &value) { bytes in
        unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(start: host, count: run.count))
      }
      return value
    }
  }

  @inline(always)
  private func writePhysical(_ run: LinearWindow.Run, _ value: UInt64) {
    guard let host = unsafe run.host else {
      writeDevice(run.physical, value, run.count)
      return
    }
    switch run.count {
    case 8: unsafe host.storeBytes(of: value, as: UInt64.self)
    case 4: unsafe host.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    case 2: unsafe host.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case 1: unsafe host.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    default:
      unsafe withUnsafeBytes(of: value) { bytes in
        guard let start = bytes.baseAddress else { return }
        unsafe host.copyMemory(from: start, byteCount: run.count)
      }
    }
    noteWrite(run, at: 0, run.count)
  }

  /// Tells the translator of bytes written, where it may have translated them.
  @inline(always)
  func noteWrite(_ run: LinearWindow.Run, at offset: Int, _ count: Int) {
    if run.isWatched { noteCodeWrite(physical: run.physical &+ UInt64(offset), count: count) }
  }

  private func readDevice(_ physical: UInt64, _ count: Int) -> UInt64 {
    let address = AddressSpace.guestAddress(physical)
    profile?.note(.readMemory(address))
    let value = outside { environment.readMemory(address, size: count) }
    return count == 8 ? value : value & ((1 &<< UInt64(8 &* count)) &- 1)
  }

  private func writeDevice(_ physical: UInt64, _ value: UInt64, _ count: Int) {
    let cut = count == 8 ? value : value & ((1 &<< UInt64(8 &* count)) &- 1)
    let address = AddressSpace.guestAddress(physical)
    profile?.note(.writeMemory(address))
    outside { environment.writeMemory(address, value: cut, size: count) }
  }
}

extension Processor {
  /// Copies bytes out of a window, from `offset` on.
  func copy(
    from window: LinearWindow, at offset: Int, to buffer: UnsafeMutableRawBufferPointer
  ) {
    let first = max(0, min(buffer.count, window.first.count - offset))
    if first > 0 {
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<first])
      unsafe copy(from: window.first, at: offset, to: part)
    }
    if first < buffer.count {
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[first...])
      unsafe copy(from: window.second, at: max(0, offset - window.first.count), to: part)
    }
  }

  /// Copies bytes into a window, from `offset` on.
  func copy(
    from buffer: UnsafeRawBufferPointer, to window: LinearWindow, at offset: Int
  ) {
    let first = max(0, min(buffer.count, window.first.count - offset))
    if first > 0 {
      let part = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<first])
      unsafe copy(from: part, to: window.first, at: offset)
    }
    if first < buffer.count {
      let part = unsafe UnsafeRawBufferPointer(rebasing: buffer[first...])
      unsafe copy(from: part, to: window.second, at: max(0, offset - window.first.count))
    }
  }

  private func copy(
    from run: LinearWindow.Run, at offset: Int, to buffer: UnsafeMutableRawBufferPointer
  ) {
    if let host = unsafe run.host {
      let source = unsafe UnsafeRawBufferPointer(start: host + offset, count: buffer.count)
      unsafe buffer.copyMemory(from: source)
      return
    }
    var done = 0
    while done < buffer.count {
      let size = deviceSize(buffer.count - done)
      let value = readDevice(run.physical &+ UInt64(offset + done), size)
      for index in 0..<size {
        unsafe buffer[done + index] = UInt8(truncatingIfNeeded: value &>> UInt64(8 &* index))
      }
      done += size
    }
  }

  private func copy(
    from buffer: UnsafeRawBufferPointer, to run: LinearWindow.Run, at offset: Int
  ) {
    if let host = unsafe run.host, let start = buffer.baseAddress {
      unsafe (host + offset).copyMemory(from: start, byteCount: buffer.count)
      noteWrite(run, at: offset, buffer.count)
      return
    }
    var done = 0
    while done < buffer.count {
      let size = deviceSize(buffer.count - done)
      var value: UInt64 = 0
      for index in (0..<size).reversed() {
        value = value &<< 8 | UInt64(unsafe buffer[done + index])
      }
      writeDevice(run.physical &+ UInt64(offset + done), value, size)
      done += size
    }
  }

  /// Bytes of the next access to a device, of which `count` are left to do.
  private func deviceSize(_ count: Int) -> Int {
    count >= 8 ? 8 : count >= 4 ? 4 : count >= 2 ? 2 : 1
  }
}
