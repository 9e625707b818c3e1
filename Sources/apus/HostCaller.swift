import Glibc
import HostBackends

/// Who runs us, where, and with what environment: what a command in a guest with the host's files
/// takes over.
enum HostCaller {
  static var user: Initramfs.User {
    Initramfs.User(number: getuid(), group: getgid(), groups: groups)
  }

  private static var groups: [UInt32] {
    unsafe [gid_t](unsafeUninitializedCapacity: 64) { buffer, count in
      count = Int(max(0, unsafe getgroups(CInt(buffer.count), buffer.baseAddress)))
    }
  }

  /// The working directory; the root when it has none any more.
  static var directory: String {
    guard let path = unsafe getcwd(nil, 0) else { return "/" }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// Variables that say who the user is and how programs talk to them; not those that are about the
  /// host's running services.
  private static let names: Set<String> = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ",
    "EDITOR", "PAGER", "NO_COLOR",
  ]

  /// Each `NAME=value`.
  static var environment: [String] {
    var found: [String] = []
    var next = unsafe environ
    while let entry = unsafe next.pointee {
      let text = unsafe String(cString: entry)
      let name = String(text.prefix { $0 != "=" })
      if names.contains(name) || name.hasPrefix("LC_") { found.append(text) }
      unsafe next += 1
    }
    return found
  }

  static var shell: String {
    environment.first { $0.hasPrefix("SHELL=") }.map { String($0.dropFirst(6)) } ?? "/bin/sh"
  }
}
