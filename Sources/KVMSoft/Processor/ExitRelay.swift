import Engine
import Host
import KVM
import KVMABI

/// Turns calls of an ``ExitHandler``, deep in the engine, into values that a run ends with.
///
/// The engine runs on a coroutine. An access to a device suspends it there and is the run's result;
/// the next run goes on with the answer.
@safe
final class ExitRelay: ExitHandler {
  private let processor: Processor
  private let coroutine: Coroutine
  /// Why the last run ended.
  private var exit = Exit.stopped(.interrupted)
  /// What the suspended read is told, or what the suspended write says.
  private var value: UInt64 = .max
  /// The elements of a string instruction's access, where there are several.
  private var elements: UnsafeMutableRawBufferPointer?
  /// Whether the suspended access is to fail.
  private var isRefused = false
  /// Whether an instruction waits in the middle for an access to be done.
  private(set) var isInFlight = false
  /// The access that an instruction waits for.
  var waitingAccess: Exit? { isInFlight ? exit : nil }
  /// Set to complete an instruction without any device: reads are all ones, writes are dropped.
  private var isDeaf = false
  private var isEnding = false

  /// - Parameter body: Runs the engine until something other than a device stops it. Called again
  ///   and again, on the relay's own stack.
  init(processor: Processor, _ body: @escaping () -> Stop) throws(KVMError) {
    self.processor = processor
    coroutine = try refusing { () throws(SystemError) in try Coroutine(on: processor) }
    coroutine.begin { [unowned self] in
      while !isEnding {
        exit = .stopped(body())
        coroutine.suspend()
      }
    }
  }

  /// Runs until there is an exit.
  func run() -> Exit {
    coroutine.resume()
    return exit
  }

  /// Runs on, without devices, to an end that the caller has arranged.
  func finish() {
    isDeaf = true
    _ = run()
    isDeaf = false
  }

  /// Lets the coroutine return, for good; only while nothing is in flight.
  func end() {
    isEnding = true
    coroutine.resume()
  }

  // MARK: Accesses

  /// Ends the run with an exit.
  ///
  /// - Returns: The answer; `nil` where the access is refused.
  func leave(_ exit: Exit, value: UInt64 = .max) -> UInt64? {
    guard !isDeaf else { return .max }
    (self.exit, self.value, isRefused, isInFlight) = (exit, value, false, true)
    processor.suspended { coroutine.suspend() }
    isInFlight = false
    return isRefused ? nil : self.value
  }

  func readPort(_ port: UInt16, size: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: leave(.portRead(port, size: size)) ?? .max)
  }

  /// Reads several elements at once.
  func readPort(_ port: UInt16, size: Int, into elements: UnsafeMutableRawBufferPointer) {
    unsafe self.elements = unsafe elements
    unsafe elements.initializeMemory(as: UInt8.self, repeating: 0xff)
    _ = unsafe leave(.portRead(port, size: size, count: elements.count / size))
    unsafe self.elements = nil
  }

  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    _ = leave(.portWrite(port, value: value, size: size), value: UInt64(value))
  }

  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    leave(.memoryRead(address, size: size)) ?? .max
  }

  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    _ = leave(.memoryWrite(address, value: value, size: size))
  }

  // MARK: Answers

  func answer(_ value: UInt64) {
    guard isInFlight else { return }
    guard let elements = unsafe elements, case .portRead(_, let size, _) = exit else {
      self.value = value
      return
    }
    unsafe withUnsafeBytes(of: value) { bytes in
      unsafe elements.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
    }
  }

  func refuse() { isRefused = true }

  func withPortData<Result>(_ body: (inout MutableRawSpan) -> Result) -> Result {
    if isInFlight, let elements = unsafe elements {
      var span = unsafe MutableRawSpan(_unsafeBytes: elements)
      return body(&span)
    }
    let count =
      switch exit {
      case .portRead(_, let size, _), .portWrite(_, _, let size, _): isInFlight ? size : 0
      default: 0
      }
    // Not in place: accesses to `value` elsewhere then need no check that nobody is in the middle.
    var data = value
    defer { value = data }
    return unsafe withUnsafeMutableBytes(of: &data) { bytes in
      var span = unsafe MutableRawSpan(
        _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
      return body(&span)
    }
  }
}
