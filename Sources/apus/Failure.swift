import Host

/// Why a command ends without success: what failed, where, and what would help, in one sentence.
struct Failure: Error {
  /// Arguments, files or a host that a run cannot begin with.
  static let misuse: Int32 = 2
  /// The guest crashed, or ended before its command ran.
  static let guest: Int32 = 125

  /// `nil` when everything has been said already.
  let sentence: String?
  let status: Int32

  init(_ sentence: String?, status: Int32 = misuse) {
    self.sentence = sentence
    self.status = status
  }

  /// A call that the host refused and that no argument of ours is to blame for.
  init(_ error: SystemError) {
    self.init("the host refused \(error.call): \(error.reason).")
  }
}
