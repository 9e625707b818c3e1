/// Why a qcow2 image cannot be used.
public enum QCOW2Fault: Error, Hashable {
  /// Too short, or without the format's first bytes.
  case noHeader
  case version(UInt32)
  case encrypted
  /// A feature that must be understood, by its bit: 2 is an external data file, 4 are subclusters.
  case feature(Int)
  case compression(UInt8)
  /// A number in the header that the format does not allow.
  case badField(String)
  /// Another program has found it damaged; it can only be read.
  case markedCorrupt
  /// A backing file by a protocol, or a description in JSON.
  case backingProtocol(String)
  /// More backing files behind each other than anybody has.
  case endlessChain
  /// Bitmaps, whose clusters cannot be told from lost ones.
  case bitmaps
  /// More clusters than can be counted.
  case tooLarge
}
