import Glibc

extension HostThread {
  /// How long the calling thread could have run while others did, in nanoseconds, as the scheduler
  /// counts it; zero where it does not.
  public static var waitedNanoseconds: UInt64 {
    guard let file = try? FileDescriptor.open("/proc/thread-self/schedstat", O_RDONLY),
      let bytes = try? file.read(upTo: 128)
    else { return 0 }
    // Time on the processor, time waiting for it, number of slices.
    let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? UInt64(fields[1]) ?? 0 : 0
  }

  /// How long the calling thread has run, in nanoseconds.
  public static var processorNanoseconds: UInt64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
