import Glibc
import Host

/// A program that is to run with a library loaded before it, and whether that can be.
struct PreloadTarget {
  let path: String
  /// Why the dynamic linker would not load the library, and what would help; `nil` when it will.
  let obstacle: String?

  var name: String { String(path.split(separator: "/").last ?? "") }

  /// Looks the program up as a shell would.
  init(named name: String) throws(Failure) {
    try self.init(path: try Self.locate(name), depth: 0)
  }

  private init(path: String, depth: Int) throws(Failure) {
    self.path = path
    if let privilege = Self.privilege(of: path) {
      obstacle =
        "\(path) \(privilege), and for such programs the system ignores preloaded libraries; "
        + "run a copy of the file, or run it as its owner."
      return
    }
    let start = try Self.start(of: path)
    if start.starts(with: [0x23, 0x21]) {  // #!
      obstacle = try Self.scriptObstacle(path, start, depth)
    } else {
      obstacle = ProgramHeader(start).obstacle.map { "\(path) \($0)" }
    }
  }

  private static func locate(_ name: String) throws(Failure) -> String {
    var candidates = [name]
    if !name.contains("/") {
      let search = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
      candidates = search.split(separator: ":").map { "\($0)/\(name)" }
    }
    let existing = candidates.filter { unsafe access($0, F_OK) == 0 }
    guard let first = existing.first else {
      let place = name.contains("/") ? "" : " in PATH"
      throw Failure("there is no program \(name)\(place).", status: 127)
    }
    guard let runnable = existing.first(where: Self.isRunnable) else {
      throw Failure("\(first) is not a program that may be executed.", status: 126)
    }
    return runnable
  }

  private static func isRunnable(_ path: String) -> Bool {
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
    return unsafe access(path, X_OK) == 0
  }

  /// What the program gets that its caller lacks; the dynamic linker is careful then.
  private static func privilege(of path: String) -> String? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    if status.st_mode & S_ISUID != 0, status.st_uid != geteuid() { return "is setuid" }
    if status.st_mode & S_ISGID != 0, status.st_gid != getegid() { return "is setgid" }
    let isSpecial = geteuid() != 0 && ProgramFile.grantsCapabilities(path)
    return isSpecial ? "has file capabilities" : nil
  }

  /// As much of the file as the headers take.
  private static func start(of path: String) throws(Failure) -> [UInt8] {
    do throws(SystemError) {
      return try FileDescriptor.open(path, O_RDONLY).read(upTo: 1 << 16)
    } catch {
      throw Failure("\(path) cannot be read: \(error.reason).", status: 126)
    }
  }

  /// A script is what runs it.
  private static func scriptObstacle(
    _ path: String, _ start: [UInt8], _ depth: Int
  ) throws(Failure) -> String? {
    guard depth < 4 else { return "\(path) is a script of a script of a script." }
    let line = start.dropFirst(2).prefix { $0 != 0x0a }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ")
    guard let interpreter = words.first.map(String.init) else { return nil }
    guard unsafe access(interpreter, X_OK) == 0 else {
      return "\(path) is a script for \(interpreter), which is not there."
    }
    return try PreloadTarget(path: interpreter, depth: depth + 1).obstacle.map {
      "\(path) is a script, and \($0)"
    }
  }
}
