internal import X86

/// What the segment registers allow, in the form that translated code compares offsets with.
///
/// A bound is the negative of how many bytes a segment has from offset 0 on, so that adding an
/// access's last offset gives a negative number exactly where the access fits. It is 0 where the
/// answer takes more than that (segments that expand down) or is no: then `checkSegment` decides.
struct SegmentBounds: BitwiseCopyable {
  /// By ``SegmentName``, ES to GS.
  var reads: InlineArray<6, Int64> = .init(repeating: 0)
  var writes: InlineArray<6, Int64> = .init(repeating: 0)
  /// Of the code segment, for instruction pointers.
  var code: Int64 = 0
  /// The negative of the code segment's base, in 32 bits.
  var codeOrigin: UInt64 = 0
  /// The bits of ``BlockMode`` that follow from the segments.
  var shape: BlockMode = []
  /// Whether they are of real mode, where types count less.
  var areReal = false
}

extension SegmentRegister {
  /// Whether accesses of a kind are allowed at all; nothing is in a null segment.
  ///
  /// In real mode, as KVM has it, code that may be read may be written, too.
  func allows(_ access: Access, isReal: Bool) -> Bool {
    guard attributes[.present] && attributes[.codeOrData] else { return false }
    if attributes[.writableOrReadable] {
      return isReal || !attributes[.code] || !access.contains(.write)
    }
    return !attributes[.code] && !access.contains(.write) || access.isEmpty
  }

  /// Data that lies above the limit instead of below.
  var expandsDown: Bool {
    attributes[.codeOrData] && !attributes[.code] && attributes[.conformingOrDown]
  }

  fileprivate func bound(_ access: Access, isReal: Bool) -> Int64 {
    allows(access, isReal: isReal) && !expandsDown ? -(Int64(limit) + 1) : 0
  }

  fileprivate func isWhole(_ access: Access, isReal: Bool) -> Bool {
    base == 0 && bound(access, isReal: isReal) == -(1 << 32)
  }
}

extension Processor {
  /// The bits of ``BlockMode`` that follow from the segment registers, outside 64-bit mode.
  var segmentShape: BlockMode {
    if cpu.segmentsChanged != 0 || run.bounds.areReal == cpu.isProtected { updateBounds() }
    return run.bounds.shape
  }

  private func updateBounds() {
    let isReal = !cpu.isProtected
    var bounds = SegmentBounds()
    bounds.areReal = isReal
    for index in 0..<6 {
      bounds.reads[index] = cpu.segments[index].bound(.read, isReal: isReal)
      bounds.writes[index] = cpu.segments[index].bound(.write, isReal: isReal)
    }
    let code = cpu[.cs]
    bounds.code = -(Int64(code.limit) + 1)
    bounds.codeOrigin = (0 &- code.base) & 0xffff_ffff
    if code.limit > 0xffff { bounds.shape.insert(.wideCode) }
    if !cpu[.ss].attributes[.defaultBig] { bounds.shape.insert(.smallStack) }
    if code.isWhole(.read, isReal: isReal), cpu[.ss].isWhole(.write, isReal: isReal),
      cpu[.ds].isWhole(.write, isReal: isReal), cpu[.es].isWhole(.write, isReal: isReal)
    {
      bounds.shape.insert(.flat)
    }
    run.bounds = bounds
    cpu.segmentsChanged = 0
  }

  /// What instruction pointers mean: the code segment's base and limit. 0 in 64-bit code.
  var codePlace: UInt64 {
    if cpu.is64Bit { return 0 }
    let code = cpu[.cs]
    return code.base << 32 | UInt64(code.limit)
  }

  /// Tells a block's mode where in the page the code segment begins and ends.
  ///
  /// - Throws: #GP(0) when the instruction pointer is beyond the limit.
  func addingCodeLimits(
    to mode: BlockMode, at linear: UInt64
  ) throws(GuestFault) -> BlockMode {
    guard mode.codeSize != .bits64 else { return mode }
    let (pointer, limit) = (cpu.instructionPointer & 0xffff_ffff, UInt64(cpu[.cs].limit))
    guard pointer <= limit else { throw .protection }
    guard !mode.contains(.flat) else { return mode }
    var mode = mode
    let offset = linear & 0xfff
    if pointer < offset { mode.firstInPage = Int(offset - pointer) }
    mode.lastInPage = Int(limit - pointer + offset)
    return mode
  }
}

/// What a cold stub tells the segment helper, in RCX.
struct SegmentSite: BitwiseCopyable {
  var rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }

  init(offset: UInt32, size: UInt32, access: Access, segment: UInt8) {
    rawValue =
      offset & 0xfff | size << 12 | UInt32(access.rawValue) << 24 | UInt32(segment) << 28
  }

  /// Offset of the instruction in the page.
  var offset: UInt64 { UInt64(rawValue & 0xfff) }
  var size: Int { Int(rawValue >> 12 & 0xfff) }
  var access: Access { Access(rawValue: UInt8(rawValue >> 24 & 3)) }
  var segment: UInt8 { UInt8(rawValue >> 28) }
}

extension Processor {
  /// Decides an access whose offset is not in its segment by the quick comparison.
  func checkSegment(_ site: SegmentSite, _ offset: UInt64, _ continuation: UInt64) -> UInt64 {
    do throws(GuestFault) {
      _ = try linearAddress(
        segment: site.segment, offset: offset, size: max(site.size, 1), for: site.access)
      run.pointer = offset
      return continuation
    } catch {
      setInstructionPointer(offset: site.offset)
      return fault(error)
    }
  }
}
