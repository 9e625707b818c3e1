internal import CLinux

/// A program on disk.
public enum ProgramFile {
  /// Whether who runs it gets capabilities that its caller may lack (capabilities(7)).
  public static func grantsCapabilities(_ path: String) -> Bool {
    unsafe apus_has_capabilities(path) != 0
  }
}
