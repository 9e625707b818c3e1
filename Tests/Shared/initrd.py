"""Writes initial file systems for Linux guests: cpio archives in the `newc` format."""

import os

DIRECTORY, FILE, DEVICE = 0o040755, 0o100755, 0o020600


def archive(entries):
    """The bytes of an archive; an entry is (path, mode), (path, mode, contents) or, for a device,
    (path, mode, contents, (major, minor))."""
    return b"".join(
        encoded(number, *entry) for number, entry in enumerate([*entries, ("TRAILER!!!", 0)], 1))


def encoded(inode, name, mode, data=b"", device=(0, 0)):
    fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    entry = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    entry += b"\0" * (-len(entry) % 4) + data
    return entry + b"\0" * (-len(entry) % 4)


# A shell on the console, whatever the console is.
INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
export PATH=/bin PS1='guest> '
while true; do sh; done
"""


def write_shell(path, busybox):
    """Writes an archive in which a program, busybox, gives a shell."""
    with open(busybox, "rb") as file:
        program = file.read()
    with open(path, "wb") as file:
        file.write(archive([
            *((name, DIRECTORY) for name in ("bin", "dev", "proc", "sys", "tmp")),
            ("dev/console", DEVICE, b"", (5, 1)), ("dev/null", 0o020666, b"", (1, 3)),
            ("bin/busybox", FILE, program), ("init", FILE, INIT),
        ]))
    return os.path.abspath(path)
