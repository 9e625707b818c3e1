/// What the guest's first program is to do, as it reads it from the image.
///
/// Strings with a zero byte behind each: see `Guests/init/order.h`. In the image, and not on the
/// kernel's command line, no byte of an argument needs quoting and no length limit is near.
struct InitramfsOrder {
  let mode: String
  let window: Initramfs.Window
  let directory: String
  let user: Initramfs.User
  /// Each `NAME=value`.
  let environment: [String]
  let arguments: [String]

  /// The guest's program reads no more than this.
  private static let sizeLimit = 1 << 20
  private static let countLimit = 50_000

  func bytes() throws(InitramfsError) -> [UInt8] {
    if arguments.isEmpty { throw .emptyCommand }
    let strings =
      [mode, String(window.rows), String(window.columns), directory]
      + [String(user.number), String(user.group)]
      + [user.groups.map(String.init).joined(separator: ",")]
      + environment.filter { !$0.isEmpty } + [""] + arguments
    var bytes: [UInt8] = []
    for string in strings {
      if string.utf8.contains(0) { throw .zeroByte(in: string) }
      bytes += string.utf8
      bytes.append(0)
    }
    guard bytes.count <= Self.sizeLimit, strings.count <= Self.countLimit else {
      throw .commandTooLong(bytes: bytes.count)
    }
    return bytes
  }
}
