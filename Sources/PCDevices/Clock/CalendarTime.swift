/// A date and time of day in the proleptic Gregorian calendar, UTC.
struct CalendarTime: Hashable, Sendable {
  var year: Int
  var month: Int
  var day: Int
  var hour: Int
  var minute: Int
  var second: Int

  private static let monthLengths: [12 of Int] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  private static let daysInCycle = 146_097  // 400 years

  private static func isLeap(_ year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  private static func length(ofMonth index: Int, in year: Int) -> Int {
    index == 1 && isLeap(year) ? 29 : monthLengths[index]
  }

  /// From seconds since 1970.
  init(seconds: Int64) {
    var (days, rest) = Int(seconds).quotientAndRemainder(dividingBy: 86_400)
    if rest < 0 { (days, rest) = (days - 1, rest + 86_400) }
    (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)

    var (cycles, day) = days.quotientAndRemainder(dividingBy: Self.daysInCycle)
    if day < 0 { (cycles, day) = (cycles - 1, day + Self.daysInCycle) }
    var year = 1970 + cycles * 400
    while day >= (Self.isLeap(year) ? 366 : 365) {
      day -= Self.isLeap(year) ? 366 : 365
      year += 1
    }
    var month = 0
    while day >= Self.length(ofMonth: month, in: year) {
      day -= Self.length(ofMonth: month, in: year)
      month += 1
    }
    (self.year, self.month, self.day) = (year, month + 1, day + 1)
  }

  init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
  }

  /// Seconds since 1970; fields out of their range count on, as a clock chip would.
  var seconds: Int64 {
    let index = min(max(month - 1, 0), 11)
    let before = year - 1
    // Days from year 1 to the start of this one, less those to 1970.
    var days = before * 365 + before / 4 - before / 100 + before / 400 - 719_162
    for earlier in 0..<index { days += Self.length(ofMonth: earlier, in: year) }
    days += day - 1
    return Int64(days * 86_400 + hour * 3600 + minute * 60 + second)
  }

  /// 1 for Sunday to 7 for Saturday.
  var weekday: Int {
    let days = Int((seconds - (seconds % 86_400 + 86_400) % 86_400) / 86_400)
    return ((days + 4) % 7 + 7) % 7 + 1
  }
}
