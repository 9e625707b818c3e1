extension Thunks {
  /// Where a profile is wanted: notes which helper runs, and that it was called.
  static func emitActivity(_ activity: Profile.Activity, _ writer: inout CodeWriter) {
    writer.operation(0xc7, 0, .state(StateLayout.run(\.activity)))
    writer.word(Int32(activity.rawValue))
    guard activity != .code else { return }
    let counter = StateLayout.run(\.helperCalls) + 8 * Int32(activity.rawValue)
    writer.operation(0xff, 0, .state(counter))  // inc: the flags are saved already
  }
}
