import Glibc
import Host

extension Initramfs {
  /// Directories, and links for programs that expect the usual ones.
  static let directories: [ArchiveEntry] =
    [
      "bin", "dev", "etc", "etc/apus", "mnt", "proc", "root", "run", "sys", "usr", "usr/local",
      "usr/local/bin", "var",
    ].map { ArchiveEntry(path: $0, content: .directory(mode: 0o755)) } + [
      ArchiveEntry(path: "tmp", content: .directory(mode: 0o1777)),
      ArchiveEntry(path: "sbin", content: .link(to: "bin")),
      ArchiveEntry(path: "usr/bin", content: .link(to: "../bin")),
      ArchiveEntry(path: "usr/sbin", content: .link(to: "../bin")),
      ArchiveEntry(path: "var/run", content: .link(to: "../run")),
      ArchiveEntry(path: "var/tmp", content: .link(to: "../tmp")),
      ArchiveEntry(path: "etc/mtab", content: .link(to: "../proc/mounts")),
    ]

  /// What the kernel opens before the first program runs, and what remains if /dev stays empty.
  static let devices: [ArchiveEntry] = [
    ArchiveEntry(path: "dev/console", content: .device(major: 5, minor: 1, mode: 0o600)),
    ArchiveEntry(path: "dev/null", content: .device(major: 1, minor: 3, mode: 0o666)),
    ArchiveEntry(path: "dev/tty", content: .device(major: 5, minor: 0, mode: 0o666)),
    ArchiveEntry(path: "dev/ttyS0", content: .device(major: 4, minor: 64, mode: 0o600)),
  ]

  static let textFiles: [ArchiveEntry] = [
    text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
    text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    text("etc/hostname", "apus\n"),
    text("etc/hosts", "127.0.0.1 localhost apus\n"),
    text("etc/shells", "/bin/sh\n"),
  ]

  private static func text(_ path: String, _ contents: String) -> ArchiveEntry {
    ArchiveEntry(path: path, content: .file(Array(contents.utf8), mode: 0o644))
  }

  /// The first program, which the build compiles from Guests/init.
  static var program: [UInt8] {
    let digits = initProgramDigits
    return stride(from: 0, to: digits.utf8CodeUnitCount - 1, by: 2).map { index in
      unsafe value(digits.utf8Start[index]) << 4 | value(digits.utf8Start[index + 1])
    }
  }

  /// The value of a lower-case hexadecimal digit.
  private static func value(_ digit: UInt8) -> UInt8 {
    digit < 0x61 ? digit - 0x30 : digit - 0x61 + 10
  }

  /// No busybox is larger than this.
  private static let sizeLimit = 64 << 20

  /// The first busybox that this host has.
  static func busybox() throws(InitramfsError) -> [UInt8] {
    for path in busyboxPaths {
      guard let file = try open(path) else { continue }
      let bytes = file.withBytes { unsafe $0.withUnsafeBytes { unsafe [UInt8]($0) } }
      if needsInterpreter(bytes) { throw .busyboxNotStatic(path: path) }
      return bytes
    }
    throw .noBusybox(tried: busyboxPaths)
  }

  /// The file's contents; `nil` if there is no such file.
  private static func open(_ path: String) throws(InitramfsError) -> FileContents? {
    do throws(FileContents.Failure) {
      return try FileContents(path: path, limit: sizeLimit)
    } catch {
      if case .system(let cause) = error, cause.errno == ENOENT { return nil }
      throw .unreadableBusybox(path: path, error)
    }
  }

  /// Whether a program names a dynamic loader; all Debian's do so within the first page.
  private static func needsInterpreter(_ program: [UInt8]) -> Bool {
    program.prefix(4096).firstRange(of: Array("/ld-".utf8)) != nil
  }

  /// The commands of Debian 12's busybox-static, without those that only an installed system has.
  static let applets: [String] = appletNames.split { $0 == " " || $0 == "\n" }.map(String.init)

  private static let appletNames = """
    [ [[ acpid adjtimex ar arch arp arping ascii ash awk base64 basename bc blkdiscard blockdev
    brctl bunzip2 bzcat bzip2 cal cat chgrp chmod chown chroot chvt clear cmp cp cpio crc32 crond
    crontab cttyhack cut date dc dd deallocvt depmod devmem df diff dirname dmesg dnsdomainname
    dos2unix du dumpkmap dumpleases echo ed egrep env expand expr factor fallocate false fatattr
    fdisk fgrep find findfs fold free freeramdisk fsfreeze fstrim ftpget ftpput getopt getty grep
    groups gunzip gzip halt head hexdump hostid hostname httpd hwclock i2cdetect i2cdump i2cget
    i2cset i2ctransfer id ifconfig ifdown ifup insmod ionice ip ipcalc ipneigh kill killall klogd
    last less link linux32 linux64 ln loadfont loadkmap logger login logname logread losetup ls
    lsmod lsscsi lzcat lzma lzop md5sum mdev microcom mim mkdir mkdosfs mke2fs mkfifo mknod
    mkpasswd mkswap mktemp modinfo modprobe more mount mt mv nameif nc netstat nl nologin nproc
    nsenter nslookup nuke od openvt partprobe passwd paste patch pidof ping ping6 pivot_root
    poweroff printf ps pwd rdate readlink realpath reboot renice reset resume rev rm rmdir rmmod
    route rpm rpm2cpio run-parts sed seq setkeycodes setpriv setsid sh sha1sum sha256sum sha3sum
    sha512sum shred shuf sleep sort ssl_client start-stop-daemon stat strings stty su sulogin svc
    svok swapoff swapon switch_root sync sysctl syslogd tac tail tar taskset tc tee telnet telnetd
    test tftp time timeout top touch tr traceroute traceroute6 true truncate ts tty tunctl
    ubirename udhcpc udhcpd uevent umount uname uncompress unexpand uniq unix2dos unlink unlzma
    unshare unxz unzip uptime usleep uudecode uuencode vconfig vi w watch watchdog wc wget which
    who whoami xargs xxd xz xzcat yes zcat
    """
}
