"""Random bytes as programs: neither the guest's kernel nor its monitor may notice."""

import random
import struct

from support import ApusTest

COUNT = 200
SIZE = 8192

# Each program is the header and a slice of the random bytes; statuses of 128 and more are signals.
SCRIPT = r"""
mkdir /tmp/w && cd /tmp/w && chmod 777 . && cat >all && head -c $1 all >header
for i in $(seq $2); do
  (cat header; tail -c +$(($1 + (i - 1) * $3 + 1)) all | head -c $3) >$i; chmod 755 $i
  su -s /bin/sh nobody -c "timeout -s KILL 1 ./$i" >/dev/null 2>&1
  [ $? -ge 128 ] && echo signal || echo other
  rm $i
done | sort | uniq -c
uname -s
"""


def header_64():
    base = 0x400000
    return struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0,
        0, 0) + struct.pack("<IIQQQQQQ", 1, 7, 0, base, base, SIZE, 8 * SIZE, 4096)


def header_32():
    base = 0x8048000
    return struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, base + 84, 52, 0, 0, 52, 32, 1, 0, 0,
        0) + struct.pack("<IIIIIIII", 1, 0, base, base, SIZE, 8 * SIZE, 7, 4096)


class RandomPrograms(ApusTest):
    def run_programs(self, header):
        seed = random.randrange(1 << 32)
        given = header + random.Random(seed).randbytes(COUNT * SIZE)
        status, output, errors = self.guest(
            "sh", "-c", SCRIPT, "sh", str(len(header)), str(COUNT), str(SIZE), given=given)
        self.assertEqual((status, errors), (0, ""), f"seed {seed}")
        self.assertRegex(output, r"(?s)\d+ signal\n.*Linux\n$", f"seed {seed}")

    def test_64_bit(self):
        self.run_programs(header_64())

    def test_32_bit(self):
        self.run_programs(header_32())
