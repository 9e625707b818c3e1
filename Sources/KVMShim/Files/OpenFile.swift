import CShim
import KVM

/// What a descriptor of KVM's stands for.
class OpenFile {
  let kind: apus_file_kind

  init(kind: apus_file_kind) { self.kind = kind }

  /// Answers an ioctl; the result is not negative.
  func control(_ request: UInt32, _ argument: UserAddress) throws(KVMError) -> Int {
    throw .unknownRequest
  }
}

/// A machine or processor of the process that this one is a fork of: its memory is another's.
final class ForeignFile: OpenFile {
  override func control(_ request: UInt32, _ argument: UserAddress) throws(KVMError) -> Int {
    throw .inputOutput
  }
}
