import Glibc

/// Finds a kernel for those who name none.
///
/// In this order: the one this host runs, `/boot/vmlinuz-$(uname -r)`; the newest other
/// `/boot/vmlinuz-*`; what `tools/fetch-kernel` has put into `$XDG_CACHE_HOME/apus`, or
/// `~/.cache/apus` without that variable; the folder `.cache` where Apus was started. Of Debian's
/// kernels in a cache the small one for virtual machines ("cloud") is preferred.
public struct KernelLocator: Sendable {
  public enum Failure: Error, Hashable {
    /// `unreadable` are kernels that this user may not read.
    case noKernel(searched: [String], unreadable: [String])
  }

  /// Where the host keeps its kernels.
  public var hostDirectory = "/boot"
  public var cacheDirectories: [String]
  /// The host's kernel release.
  public var release: String

  /// Where this process would look.
  public init() {
    cacheDirectories = [Self.cacheDirectory(), ".cache"].compactMap { $0 }
    release = Self.runningRelease()
  }

  /// The path of the kernel to boot.
  public func find() throws(Failure) -> String {
    var unreadable: [String] = []
    for path in candidates() {
      if unsafe access(path, R_OK) == 0 { return path }
      unreadable.append(path)
    }
    throw .noKernel(searched: [hostDirectory] + cacheDirectories, unreadable: unreadable)
  }

  private static let prefix = "vmlinuz-"

  private func candidates() -> [String] {
    let own = Self.prefix + release
    let host = Self.kernels(in: hostDirectory).filter { $0 != own }
    let isRunning = unsafe access("\(hostDirectory)/\(own)", F_OK) == 0
    var paths = ((isRunning ? [own] : []) + host).map { "\(hostDirectory)/\($0)" }
    for directory in cacheDirectories {
      let names = Self.kernels(in: directory)
      let small = names.filter { $0.contains("cloud") }
      let others = names.filter { !$0.contains("cloud") }
      paths += (small + others).map { "\(directory)/\($0)" }
    }
    return paths
  }

  /// Names of the kernels in a directory, newest first.
  private static func kernels(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasPrefix(prefix) { names.append(name) }
    }
    return names.sorted { (version($1), $1) < (version($0), $0) }
  }

  /// The numbers in a name in order, so that 6.1.0-9 is older than 6.1.0-10.
  private static func version(_ name: String) -> Version {
    Version(numbers: name.split { !$0.isASCII || !$0.isNumber }.map { Int($0) ?? .max })
  }

  private struct Version: Comparable {
    let numbers: [Int]

    static func < (older: Version, newer: Version) -> Bool {
      older.numbers.lexicographicallyPrecedes(newer.numbers)
    }
  }

  private static func cacheDirectory() -> String? {
    if let cache = variable("XDG_CACHE_HOME"), cache.hasPrefix("/") { return cache + "/apus" }
    return variable("HOME").map { $0 + "/.cache/apus" }
  }

  private static func variable(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  private static func runningRelease() -> String {
    var names = utsname()
    guard unsafe uname(&names) == 0 else { return "" }
    return unsafe withUnsafeBytes(of: names.release) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
