internal import CLinux
import Glibc

/// A thread of the operating system.
///
/// Virtual processors block for seconds, so they do not belong on Swift's cooperative pool.
@safe
public final class HostThread: @unchecked Sendable {
  // Set once in `init` and only read afterwards.
  private let thread: pthread_t

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts a thread that runs `body`. Tools show the first 15 bytes of `name`.
  public init(
    named name: String, stackSize: Int = 8 << 20, _ body: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    let refusal = unsafe pthread_attr_setstacksize(&attributes, stackSize)
    if refusal != 0 { throw SystemError(call: "pthread_attr_setstacksize", errno: refusal) }

    let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
    var thread = pthread_t()
    let result = unsafe pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        _ = unsafe apus_thread_name(String(decoding: start.name.utf8.prefix(15), as: UTF8.self))
        start.body()
        return nil
      }, start.toOpaque())
    if result != 0 {
      unsafe start.release()
      throw SystemError(call: "pthread_create", errno: result)
    }
    self.thread = thread
  }

  /// Waits for the thread to end. Once only.
  public func join() { _ = pthread_join(thread, nil) }
}
