import CShim
import Glibc
import KVM

// Where the C library's calls come in, once they concern KVM. Each runs with signals held back
// (`apus_shim_enter`), since handlers may call everything here again.

/// Where descriptors are looked up; replaced in a forked child.
nonisolated(unsafe) private var table = FileTable()

/// The files of this process.
var files: FileTable { unsafe table }

/// Does what a signal handler must not come in the middle of.
@inline(always)
func undisturbed<Result>(_ body: () -> Result) -> Result {
  apus_shim_enter()
  defer { apus_shim_leave() }
  return body()
}

@c(apus_shim_open)
func openDevice(_ flags: CInt) -> CInt {
  if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL { return -EEXIST }
  if flags & O_DIRECTORY != 0 { return -ENOTDIR }
  return undisturbed {
    prepare()
    do throws(KVMError) {
      return try makeFile("kvm", isCloseOnExec: flags & O_CLOEXEC != 0) { _ in DeviceFile() }
    } catch {
      return -error.errno
    }
  }
}

/// Makes the process ready, when it first has to do with KVM.
private func prepare() {
  apus_shim_activate()
  _ = copyGuard
}

/// Copies of user memory survive bad addresses, from here on.
private let copyGuard: CInt = apus_shim_guard_copies()

/// Makes a descriptor and what it stands for.
func makeFile(
  _ name: String, size: Int = 0, isCloseOnExec: Bool = true,
  _ make: (CInt) throws(KVMError) -> OpenFile
) throws(KVMError) -> CInt {
  let descriptor = unsafe apus_shim_make_file(name, size, isCloseOnExec ? 1 : 0)
  if descriptor < 0 { throw .system(-descriptor) }
  do throws(KVMError) {
    files.insert(try make(descriptor), at: descriptor)
  } catch {
    close(descriptor)
    throw error
  }
  return descriptor
}

@c(apus_shim_ioctl)
func control(_ descriptor: CInt, _ request: UInt32, _ argument: UInt) -> Int {
  undisturbed {
    while true {
      let result = FileTable.withFile(at: descriptor) { file in
        do throws(KVMError) {
          return try file.control(request, UserAddress(argument))
        } catch {
          return -Int(error.errno)
        }
      }
      if let result { return result }
      guard findUnseen(descriptor) else { return Int(APUS_NOT_OURS) }
    }
  }
}

/// Notes what a descriptor stands for that came by a way nobody saw: in a message, or from the
/// program that this one replaced.
///
/// - Returns: Whether it is one of KVM's.
private func findUnseen(_ descriptor: CInt) -> Bool {
  if files.adopt(descriptor) { return true }
  guard unsafe apus_shim_is_named(descriptor, "kvm") != 0 else { return false }
  prepare()
  let isDevice = unsafe apus_shim_is_named(descriptor, "kvm-") == 0
  files.insert(isDevice ? DeviceFile() : ForeignFile(kind: APUS_MACHINE), at: descriptor)
  return true
}

@c(apus_shim_forget)
func forget(_ descriptor: CInt) { undisturbed { files.forget(descriptor) } }

@c(apus_shim_forget_range)
func forgetRange(_ first: UInt32, _ last: UInt32) {
  undisturbed { files.forget(from: first, to: last) }
}

@c(apus_shim_duplicated)
func noteDuplicate(_ descriptor: CInt, _ copy: CInt) {
  undisturbed { files.duplicate(descriptor, as: copy) }
}

@c(apus_shim_sent)
func noteSent(_ descriptor: CInt) { undisturbed { files.keep(descriptor) } }

@c(apus_shim_kind)
func kind(_ descriptor: CInt) -> CInt {
  undisturbed {
    let kind = FileTable.withFile(at: descriptor) { $0.kind }
    return CInt(bitPattern: (kind ?? APUS_STATISTICS).rawValue)
  }
}

@c(apus_shim_ring)
func ring(_ processor: UnsafeMutableRawPointer) {
  unsafe Unmanaged<ProcessorFile>.fromOpaque(processor)._withUnsafeGuaranteedRef { $0.ring() }
}

@c(apus_shim_forked)
func noteFork() {
  let old = unsafe Unmanaged.passRetained(table).takeUnretainedValue()
  unsafe table = FileTable()
  old.disown(into: unsafe table)
}
