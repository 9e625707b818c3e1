internal import X86

/// The components of XSAVE images that guests have, and where the standard format puts them. The
/// compacted format has them at the same places: there is only one past the header.
///
/// Reference: SDM vol. 1, section 13.4.
enum ExtendedState {
  static let floating: UInt64 = 1
  static let streaming: UInt64 = 2
  static let vector: UInt64 = 4
  static let all: UInt64 = 7

  static let controlStatus = 24  // MXCSR, and what it may hold
  static let stack = 32
  static let streamingRegisters = 160
  static let header = 512
  static let vectorRegisters = 576
  static let size = 832
  static let legacySize = 512
  static let initialControl: UInt16 = 0x37f
  static let initialControlStatus: UInt32 = 0x1f80
}

/// The image that holds the guest's vector and floating-point registers while Swift runs.
extension Processor {
  /// Puts the registers' values after reset into the image.
  func initializeExtendedArea() {
    unsafe extendedArea.storeBytes(
      of: ExtendedState.initialControlStatus, toByteOffset: 24, as: UInt32.self)
    unsafe extendedArea.storeBytes(of: 0xffff, toByteOffset: 28, as: UInt32.self)
    fillInitialState()
  }

  /// Components that are not in their initial state, MXCSR apart.
  var componentsPresent: UInt64 {
    get {
      let bits = unsafe extendedArea.load(fromByteOffset: ExtendedState.header, as: UInt64.self)
      return bits & ExtendedState.all
    }
    set {
      unsafe extendedArea.storeBytes(
        of: newValue, toByteOffset: ExtendedState.header, as: UInt64.self)
    }
  }

  /// Components not in their initial state, as XGETBV and the compacted format count them.
  var componentsInUse: UInt64 {
    let isChanged = controlStatus != ExtendedState.initialControlStatus
    return componentsPresent | (isChanged ? ExtendedState.streaming : 0)
  }

  /// MXCSR.
  package var controlStatus: UInt32 {
    get { unsafe extendedArea.load(fromByteOffset: 24, as: UInt32.self) }
    set { unsafe extendedArea.storeBytes(of: newValue, toByteOffset: 24, as: UInt32.self) }
  }

  /// The bits of MXCSR that may be set.
  var controlStatusMask: UInt32 {
    let mask = unsafe extendedArea.load(fromByteOffset: 28, as: UInt32.self)
    return mask == 0 ? 0xffbf : mask
  }

  /// How many XMM registers the current code has.
  var vectorCount: Int { cpu.is64Bit ? 16 : 8 }

  /// Writes initial values where the image's header says that a component has them, so that the
  /// bytes can be used whatever the header says.
  func fillInitialState() {
    let present = componentsPresent
    if present & ExtendedState.floating == 0 {
      clear(0, 24)
      clear(ExtendedState.stack, 128)
      unsafe extendedArea.storeBytes(of: ExtendedState.initialControl, as: UInt16.self)
    }
    if present & ExtendedState.streaming == 0 { clear(ExtendedState.streamingRegisters, 256) }
    if present & ExtendedState.vector == 0 { clear(ExtendedState.vectorRegisters, 256) }
  }

  private func clear(_ offset: Int, _ count: Int) {
    unsafe (extendedArea + offset).initializeMemory(as: UInt8.self, repeating: 0, count: count)
  }

  /// Gives the components in `mask` their initial values, as far as the current code sees them.
  func initializeComponents(_ mask: UInt64) {
    if mask & ExtendedState.floating != 0 { componentsPresent &= ~ExtendedState.floating }
    if mask & ExtendedState.streaming != 0 {
      initializeRegisters(ExtendedState.streaming, at: ExtendedState.streamingRegisters)
    }
    if mask & ExtendedState.vector != 0 {
      initializeRegisters(ExtendedState.vector, at: ExtendedState.vectorRegisters)
    }
    fillInitialState()
  }

  /// 32-bit code leaves the upper eight registers alone, so they stay in the image.
  private func initializeRegisters(_ component: UInt64, at offset: Int) {
    if vectorCount == 16 {
      componentsPresent &= ~component
      return
    }
    fillInitialState()
    clear(offset, 16 * vectorCount)
    componentsPresent |= component
  }

  /// Copies the image's bytes to guest memory.
  func saveImage(_ range: Range<Int>, to window: LinearWindow, at offset: Int) {
    let bytes = unsafe UnsafeRawBufferPointer(
      start: extendedArea + range.lowerBound, count: range.count)
    unsafe copy(from: bytes, to: window, at: offset)
  }

  /// Copies guest memory to the image's bytes.
  func loadImage(_ range: Range<Int>, from window: LinearWindow, at offset: Int) {
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      start: extendedArea + range.lowerBound, count: range.count)
    unsafe copy(from: window, at: offset, to: bytes)
  }

  /// Saves x87 state. The addresses of the last instruction and operand are those of translated
  /// code, so the guest sees zeros, as it does on processors that keep them for errors only.
  func saveFloating(to window: LinearWindow) {
    clear(8, 16)
    saveImage(0..<24, to: window, at: 0)
    saveImage(32..<160, to: window, at: 32)
  }

  func loadFloating(from window: LinearWindow) {
    loadImage(0..<24, from: window, at: 0)
    loadImage(32..<160, from: window, at: 32)
    clear(8, 16)
    componentsPresent |= ExtendedState.floating
  }

  func saveStreaming(to window: LinearWindow) {
    let start = ExtendedState.streamingRegisters
    saveImage(start..<start + 16 * vectorCount, to: window, at: start)
  }

  func loadStreaming(from window: LinearWindow) {
    let start = ExtendedState.streamingRegisters
    loadImage(start..<start + 16 * vectorCount, from: window, at: start)
    componentsPresent |= ExtendedState.streaming
  }

  /// A 4- or 8-byte word of guest memory inside a window.
  func word<Value: FixedWidthInteger & BitwiseCopyable>(
    _ type: Value.Type, of window: LinearWindow, at offset: Int
  ) -> Value {
    var value: Value = 0
    unsafe withUnsafeMutableBytes(of: &value) { unsafe copy(from: window, at: offset, to: $0) }
    return value
  }

  /// MXCSR in a guest's image; #GP(0) where it has bits that the processor has not.
  func checkedControlStatus(_ window: LinearWindow) throws(GuestFault) -> UInt32 {
    let value = word(UInt32.self, of: window, at: ExtendedState.controlStatus)
    guard value & ~controlStatusMask == 0 else { throw .protection }
    return value
  }
}
