import Boot
import DeviceModel
import Glibc
import Host
import HostBackends
import KVM
import Machine

// All sentences about errors of the modules below, in one place.

extension KernelImageError {
  /// Says what is wrong with the kernel in the file at `path`.
  func sentence(about path: String) -> String {
    switch self {
    case .notAKernel(let kind):
      "\(path) is not a kernel but \(kind.nounPhrase); --kernel takes a bzImage (vmlinuz) or an "
        + "ELF vmlinux for x86-64."
    case .truncated(let expected, let present):
      "\(path) is cut short: it should have \(expected) bytes and has \(present); copy it again."
    case .oldBootProtocol(let version):
      "\(path) speaks Linux's boot protocol \(version >> 8).\(version & 0xff); use a kernel with "
        + "2.12 or later (Linux 3.8)."
    case .no64BitEntry:
      "\(path) is a kernel for 32-bit processors; use one built for x86-64."
    case .brokenELF(let defect):
      "\(path) is a damaged ELF file: \(defect.phrase); copy or build it again."
    }
  }
}

extension ELFDefect {
  fileprivate var phrase: String {
    switch self {
    case .programHeaderSize(let size): "its program headers have \(size) bytes each"
    case .programHeadersOutsideFile: "its program headers are outside the file"
    case .segmentOutsideFile(let index): "segment \(index) is outside the file"
    case .segmentLargerThanItsMemory(let index): "segment \(index) is larger than its memory"
    case .segmentAddressOverflow(let index): "segment \(index) wraps around the address space"
    case .nothingToLoad: "it has nothing to load"
    case .entryOutsideSegments(let entry): "its entry point \(hexadecimal(entry)) is not loaded"
    }
  }
}

extension BootError {
  /// Says why the guest cannot be started with `memory`.
  func sentence(memory: ByteCount) -> String {
    switch self {
    case .tooLittleMemory(let needed):
      "\(memory) is too little memory for this kernel, which needs \(mebibytes(needed)); give the "
        + "guest more with -m."
    case .kernelAddressUnusable(let range):
      "the kernel wants to be at \(hexadecimal(range.lowerBound)) to "
        + "\(hexadecimal(range.upperBound)), where a PC has no RAM; use a kernel linked elsewhere."
    case .commandLineTooLong(let count, let limit):
      "the kernel takes a command line of \(limit) bytes and this one has \(count); shorten --append."
    case .commandLineHasZeroByte:
      "the kernel's command line has a zero byte in it; remove it from --append."
    case .initrdTooLarge(let size, let room):
      "the initial RAM disk needs \(mebibytes(UInt64(size))) and \(memory) of memory leave "
        + "\(mebibytes(room)) for it; give the guest more with -m."
    case .tooManyProcessors(let count):
      "\(count) processors are more than this machine can have; ask for fewer with -c."
    }
  }
}

extension KVMError {
  var sentence: String {
    switch self {
    case .refused(let call, let number):
      "the host refused \(call): \(SystemError(call: call, errno: number).reason)."
    case .unavailable(let sentence), .unsupported(let sentence): sentence
    }
  }
}

extension BareError {
  /// Says why the program at `path` cannot be started.
  func sentence(about path: String, memory: ByteCount) -> String {
    switch self {
    case .empty: "\(path) is an empty file."
    case .elf(.notAKernel(.elfUserProgram)):
      "\(path) is a program for user space, which asks for a dynamic linker; link it with -static "
        + "-nostdlib."
    case .elf(.notAKernel(let kind)): "\(path) cannot run here: it is \(kind.nounPhrase)."
    case .elf(let error): error.sentence(about: path)
    case .outsideMemory(let range, let limit):
      "\(path) wants memory from \(hexadecimal(range.lowerBound)) to "
        + "\(hexadecimal(range.upperBound)), and \(memory) of memory leave it "
        + "\(hexadecimal(limit)); give the guest more with -m, or link it elsewhere."
    case .overStartInfo(let range):
      "\(path) wants memory from \(hexadecimal(range.lowerBound)) to "
        + "\(hexadecimal(range.upperBound)), where --start-info puts its structure; load or link it "
        + "elsewhere."
    case .entryBeyondRealMode(let entry):
      "\(path) begins at \(hexadecimal(entry)), which real mode cannot reach; choose another --mode."
    case .entryOutsideMemory(let entry):
      "\(path) would begin at \(hexadecimal(entry)), where \(memory) of memory have no room for it."
    case .scattered(let count):
      "\(path) is in \(count) pieces, more than the start structure can list; link it in fewer."
    }
  }
}

extension MachineError {
  /// Says why a machine with `configuration` cannot run.
  func sentence(_ configuration: BareConfiguration) -> String {
    switch self {
    case .file(_, let failure): "the program \(configuration.program) \(failure.phrase)."
    case .bare(let error):
      error.sentence(about: configuration.program, memory: configuration.memory)
    default:
      sentence(MachineConfiguration(kernel: configuration.program, memory: configuration.memory))
    }
  }

  /// Says why a machine with `configuration` cannot run.
  func sentence(_ configuration: MachineConfiguration) -> String {
    switch self {
    case .file(.program, let failure): "the program \(configuration.kernel) \(failure.phrase)."
    case .bare(let error):
      error.sentence(about: configuration.kernel, memory: configuration.memory)
    case .file(.kernel, let failure): "the kernel \(configuration.kernel) \(failure.phrase)."
    case .file(.initrd, let failure):
      "the initial RAM disk \(configuration.initrd ?? "") \(failure.phrase)."
    case .initramfs(let error): error.sentence
    case .kernel(let error): error.sentence(about: configuration.kernel)
    case .boot(let error): error.sentence(memory: configuration.memory)
    case .memory(let error):
      "the host has no room for \(configuration.memory) of guest memory (\(error.reason)); ask for "
        + "less with -m."
    case .devices(.addressConflict(let range, let owner)):
      "two devices want port \(hexadecimal(range.lowerBound)); \(owner) has it."
    case .devices(.badOption(let name, let problem)):
      "the device option \(name) is wrong: \(problem)."
    case .disk(let disk, let error): error.sentence(about: disk)
    case .share(let share, let error):
      "the directory \(share.path) cannot be shared: \(error.reason)."
    case .hypervisor(let error): error.sentence
    case .host(let error): "the host refused \(error.call): \(error.reason)."
    }
  }
}

extension FileContents.Failure {
  /// Goes on after the file's name.
  var phrase: String {
    switch self {
    case .system(let error) where error.errno == ENOENT: "does not exist"
    case .system(let error) where error.errno == EACCES:
      "may not be read by you (permission denied)"
    case .system(let error): "cannot be read: \(error.reason)"
    case .notAFile(.directory): "is a directory, not a file"
    case .notAFile(.device): "is a device, not a file"
    case .notAFile(.stream): "is a pipe or a socket, not a file"
    case .tooLarge(let size, let limit):
      "is too large: it has \(size) bytes and \(limit) are the most that make sense"
    }
  }
}

extension KernelLocator.Failure {
  var sentence: String {
    switch self {
    case .noKernel(let searched, let unreadable):
      if let first = unreadable.first {
        "the kernel \(first) may not be read by you; name another with --kernel, or run "
          + "tools/fetch-kernel cloud."
      } else {
        "there is no kernel in \(searched.joined(separator: ", ")); name one with --kernel, or run "
          + "tools/fetch-kernel."
      }
    }
  }
}

extension InitramfsError {
  var sentence: String {
    switch self {
    case .noBusybox(let tried):
      "the guest's programs are missing: there is no \(tried.joined(separator: " or ")); install "
        + "Debian's package busybox-static."
    case .unreadableBusybox(let path, let failure): "\(path) \(failure.phrase)."
    case .busyboxNotStatic(let path):
      "\(path) needs libraries that the guest has not; install Debian's package busybox-static."
    case .emptyCommand: "there is no command after --."
    case .commandTooLong(let bytes):
      "the command and its arguments have \(bytes) bytes, more than the guest takes; shorten them."
    case .zeroByte(let text): "the argument \(text) has a zero byte in it."
    case .archive: "the initial RAM disk cannot be made: libarchive has no memory left."
    }
  }
}

func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// An amount of memory as people compare it, rounded up.
private func mebibytes(_ bytes: UInt64) -> String { "\((bytes >> 20) + 1)M" }
