internal import CLinux
import Glibc

/// Columns and rows of a terminal.
public struct TerminalSize: Hashable, Sendable {
  public let columns: Int
  public let rows: Int

  public init(columns: Int, rows: Int) {
    self.columns = columns
    self.rows = rows
  }
}

/// The modes of the terminal that people started this process from.
public enum TerminalModes {
  /// Whether the descriptor is a terminal.
  public static func isTerminal(_ descriptor: CInt) -> Bool { isatty(descriptor) == 1 }

  /// Has the modes brought back also when the process exits or dies of a fault. To be called before
  /// anybody handles such faults by design, as the software engine does.
  public static func prepareForFaults() { apus_terminal_prepare() }

  /// Hands every key on as it is typed, with no echo and no signals, until ``restore()``. One
  /// terminal at a time.
  public static func makeRaw(_ descriptor: CInt) throws(SystemError) {
    _ = try checked(apus_terminal_raw(descriptor), "tcsetattr")
  }

  /// Brings the old modes back; harmless when they are.
  public static func restore() { apus_terminal_restore() }

  /// `nil` for what is no terminal, or one that does not know its size.
  public static func size(_ descriptor: CInt) -> TerminalSize? {
    var (rows, columns): (UInt16, UInt16) = (0, 0)
    guard unsafe apus_terminal_size(descriptor, &rows, &columns) == 0, rows > 0, columns > 0 else {
      return nil
    }
    return TerminalSize(columns: Int(columns), rows: Int(rows))
  }
}
