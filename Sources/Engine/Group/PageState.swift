import Synchronization

/// What the processors of a machine do with one page of its memory.
///
/// Translated code is found again by physical address, so whoever writes to a page must know
/// whether anybody has translations of it. A page therefore either has translations, or may be
/// written directly through soft TLBs, but not both.
struct PageState: BitwiseCopyable, Equatable {
  var rawValue: UInt64 = 0

  /// In place of a processor's number: more than one.
  static let several = UInt16.max

  /// Who may have translations of the page's code: a processor's number, 0 for nobody, or
  /// ``several``.
  var translator: UInt16 {
    get { UInt16(truncatingIfNeeded: rawValue) }
    set { rawValue = rawValue & ~0xffff | UInt64(newValue) }
  }

  /// Who may have a soft-TLB entry that lets it write to the page.
  var writer: UInt16 {
    get { UInt16(truncatingIfNeeded: rawValue >> 16) }
    set { rawValue = rawValue & ~0xffff_0000 | UInt64(newValue) << 16 }
  }

  /// The 32 pieces of the page, of 128 bytes each, that have had code translated.
  var pieces: UInt32 {
    get { UInt32(truncatingIfNeeded: rawValue >> 32) }
    set { rawValue = rawValue & 0xffff_ffff | UInt64(newValue) << 32 }
  }

  /// The pieces that `count` bytes from an offset in the page on lie in.
  static func pieces(at offset: UInt64, count: Int) -> UInt32 {
    let first = UInt32(offset & 0xfff) >> 7
    let last = min(31, UInt32(Int(offset & 0xfff) + max(count, 1) - 1) >> 7)
    return UInt32.max << first & UInt32.max >> (31 - last)
  }

  /// Whom a field names once `processor` is added to `holder`.
  static func adding(_ processor: UInt16, to holder: UInt16) -> UInt16 {
    holder == 0 || holder == processor ? processor : several
  }

  /// Whether a field names `processor`, perhaps among others.
  static func names(_ processor: UInt16, _ holder: UInt16) -> Bool {
    holder == processor || holder == several
  }
}

/// A page's state in the memory that all processors share.
@safe
struct SharedPageState: BitwiseCopyable {
  private let word: UnsafeMutablePointer<Atomic<UInt64>>

  init(_ word: UnsafeMutablePointer<Atomic<UInt64>>) { unsafe self.word = unsafe word }

  @inline(always)
  var value: PageState {
    PageState(rawValue: unsafe word.pointee.load(ordering: .sequentiallyConsistent))
  }

  /// Changes the state in one step, and returns what it was before.
  @discardableResult
  @inline(always)
  func change(_ body: (inout PageState) -> Void) -> PageState {
    var old = unsafe word.pointee.load(ordering: .sequentiallyConsistent)
    while true {
      var new = PageState(rawValue: old)
      body(&new)
      if new.rawValue == old { return new }
      let result = unsafe word.pointee.compareExchange(
        expected: old, desired: new.rawValue, ordering: .sequentiallyConsistent)
      if result.exchanged { return PageState(rawValue: old) }
      old = result.original
    }
  }

  /// Lets `processor` write directly, unless the page has translations; returns whether it may.
  @inline(always)
  func admitWriter(_ processor: UInt16) -> Bool {
    let old = change { state in
      if state.translator == 0 {
        state.writer = PageState.adding(processor, to: state.writer)
      }
    }
    return old.translator == 0
  }

  /// Whether `processor` may write directly already.
  @inline(always)
  func admits(_ processor: UInt16) -> Bool {
    let state = value
    return state.translator == 0 && PageState.names(processor, state.writer)
  }
}
