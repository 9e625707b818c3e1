import CShim
import Synchronization

/// One open file, which several descriptors may share. Records are never freed, only used again, so
/// that a lookup can count itself in before it knows whether it came in time.
@safe
struct FileRecord: Equatable, @unchecked Sendable {
  @unsafe
  private struct Content: ~Copyable {
    /// Descriptors, and lookups in progress.
    let users = Atomic<Int>(0)
    /// Set before there are users, and until there are none.
    var file: Unmanaged<OpenFile>?
    var identity = FileIdentity()
  }

  private let content: UnsafeMutablePointer<Content>

  init() {
    unsafe content = .allocate(capacity: 1)
    unsafe content.initialize(to: Content())
  }

  /// The record at a descriptor.
  init?(at descriptor: CInt) {
    guard let address = unsafe apus_file_get(descriptor) else { return nil }
    unsafe content = address.assumingMemoryBound(to: Content.self)
  }

  static func == (left: FileRecord, right: FileRecord) -> Bool {
    unsafe left.content == right.content
  }

  /// Puts a record at a descriptor, or nothing; returns what was there.
  static func exchange(_ descriptor: CInt, _ record: FileRecord?) -> FileRecord? {
    guard descriptor >= 0, descriptor < CInt(APUS_FILES) else { return record }
    guard let old = unsafe apus_file_set(descriptor, record?.content) else { return nil }
    return unsafe FileRecord(content: old.assumingMemoryBound(to: Content.self))
  }

  private init(content: UnsafeMutablePointer<Content>) { unsafe self.content = unsafe content }

  var identity: FileIdentity { unsafe content.pointee.identity }
  /// Only for a user, who keeps the file alive.
  @inline(always)
  func withFile<Result>(_ body: (OpenFile) -> Result) -> Result? {
    unsafe content.pointee.file?._withUnsafeGuaranteedRef(body)
  }

  /// Begins with one user.
  func fill(_ file: OpenFile, _ identity: FileIdentity) {
    unsafe content.pointee.file = Unmanaged.passRetained(file)
    unsafe content.pointee.identity = identity
    unsafe content.pointee.users.store(1, ordering: .releasing)
  }

  /// Counts another user, by one that is.
  func addUser() { unsafe content.pointee.users.add(1, ordering: .relaxed) }

  /// Counts a user, unless there are none any more.
  func addUserIfAny() -> Bool {
    var users = unsafe content.pointee.users.load(ordering: .relaxed)
    while users > 0 {
      let (exchanged, original) = unsafe content.pointee.users.weakCompareExchange(
        expected: users, desired: users + 1, ordering: .acquiring)
      if exchanged { return true }
      users = original
    }
    return false
  }

  /// Counts a user off; returns whether it was the last.
  func removeUser() -> Bool {
    unsafe content.pointee.users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0
  }

  /// Takes the file out, once there are no users.
  func empty() -> OpenFile? {
    defer { unsafe content.pointee.file = nil }
    return unsafe content.pointee.file?.takeRetainedValue()
  }
}

/// Device and inode number of the file in memory that stands for one of KVM's.
struct FileIdentity: Equatable {
  private(set) var device: UInt64 = 0
  private(set) var inode: UInt64 = 0

  init() {}

  /// Of the file behind a descriptor, if there is one.
  init?(of descriptor: CInt) {
    var numbers: InlineArray<2, UInt64> = [0, 0]
    var span = numbers.mutableSpan
    let isOpen = unsafe span.withUnsafeMutableBufferPointer { buffer in
      unsafe apus_shim_identity(descriptor, buffer.baseAddress)
    }
    guard isOpen != 0 else { return nil }
    (device, inode) = (numbers[0], numbers[1])
  }
}
