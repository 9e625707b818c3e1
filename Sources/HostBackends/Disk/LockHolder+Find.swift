import Glibc
import Host

extension LockHolder {
  /// Finds in /proc/locks who has locked a file as a whole (flock(2)).
  static func find(_ file: borrowing FileDescriptor) -> LockHolder? {
    var status = stat()
    guard unsafe fstat(file.rawValue, &status) == 0, let locks = text("/proc/locks") else {
      return nil
    }
    // Such as "3: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF". The device is not compared: some
    // file systems show others than stat(2) does.
    for line in locks.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 5, words[1] == "FLOCK", let process = Int(words[4]), process > 0,
        process != Int(getpid()),
        words[5].split(separator: ":").last.map(String.init) == "\(status.st_ino)"
      else { continue }
      let name = text("/proc/\(process)/comm")?.split(separator: "\n").first ?? "?"
      return LockHolder(process: process, name: String(name))
    }
    return nil
  }

  private static func text(_ path: String) -> String? {
    guard let file = try? FileDescriptor.open(path, O_RDONLY) else { return nil }
    var bytes: [UInt8] = []
    while let part = try? file.read(upTo: 1 << 16), !part.isEmpty { bytes += part }
    return String(decoding: bytes, as: UTF8.self)
  }
}
