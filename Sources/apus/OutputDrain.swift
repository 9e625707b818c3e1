import Host

/// Gives output to its readers. One that does not read holds up neither an end that somebody has
/// asked for, nor one that a signal asks for now.
///
/// - Parameters:
///   - drain: Waits for the readers until a time; returns whether they have everything.
///   - isEndWanted: Looks at signals that have come; returns whether the end has been asked for.
func drainOutput(_ drain: (UInt64) -> Bool, isEndWanted: () -> Bool) {
  let patience = HostClock.nanoseconds + 500_000_000
  while !drain(HostClock.nanoseconds + 50_000_000) {
    if isEndWanted() && HostClock.nanoseconds > patience { break }
  }
}
