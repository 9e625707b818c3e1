"""A person at a terminal: raw mode, its end, and the key that leaves."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from support import APUS, ApusTest, kernel, session_members

LEAVE = b"\x1d"


class Terminal(ApusTest):
    def setUp(self):
        super().setUp()
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 132, 0, 0))
        self.modes = termios.tcgetattr(self.theirs)
        self.seen = b""
        self.process = subprocess.Popen(
            [APUS, "run", "--kernel", kernel("cloud")], stdin=self.theirs, stdout=self.theirs,
            stderr=self.theirs, preexec_fn=self.take_terminal,
            # Swift's own report of a crash would wait for a key.
            env=dict(os.environ, SWIFT_BACKTRACE="enable=no"))
        self.addCleanup(self.close)

    def take_terminal(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 1)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.ours, self.theirs):
            if descriptor is not None:
                os.close(descriptor)

    def expect(self, text, limit=120):
        """Reads until `text` appears."""
        deadline = time.monotonic() + limit
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                self.fail(f"no {text!r} in {self.seen!r}")
            self.seen += os.read(self.ours, 4096)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, keys):
        os.write(self.ours, keys)

    def end(self, status):
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.ours], [], [], 0.05)[0]:
                self.seen += os.read(self.ours, 4096)
        self.assertEqual(self.process.poll(), status, self.seen)
        self.assertEqual(termios.tcgetattr(self.theirs), self.modes, "the modes are not restored")
        self.assertEqual(session_members(self.process.pid), [])

    def test_a_shell(self):
        self.expect(b"Ctrl-]")
        self.expect(b"# ")
        self.assertEqual(termios.tcgetattr(self.theirs)[3] & termios.ICANON, 0, "not raw")
        self.type(b"stty size; echo $((6 * 7)) $TERM\r")
        self.expect(b"40 132")
        self.expect(b"42 ")
        self.type(b"exit\r")
        self.end(0)

    def test_an_interrupt_goes_to_the_guest(self):
        self.expect(b"# ")
        self.type(b"sleep 1000\r")
        time.sleep(0.5)
        self.type(b"\x03")
        self.expect(b"# ")
        self.type(b"echo status $?\r")
        self.expect(b"status 130")
        self.type(LEAVE * 3)
        self.end(0)

    def test_a_division_by_zero_in_the_guest(self):
        # A program of two instructions. The host's processor faults too, and that is the engine's
        # to handle, not the one's who restores terminals after crashes.
        code = bytes.fromhex("31f6f7f6")
        base = 0x400000
        program = struct.pack(
            "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0,
            0, 0) + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, 124, 124, 4096) + code
        self.expect(b"# ")
        for start in range(0, len(program), 32):
            text = "".join(f"\\{byte:03o}" for byte in program[start:start + 32])
            self.type(f"printf '{text}' >>d\r".encode())
            self.expect(b"# ")
        self.type(b"chmod +x d; ./d; echo status $?\r")
        self.expect(b"status 136")
        self.type(b"exit\r")
        self.end(0)

    def test_the_key_that_leaves(self):
        self.expect(b"# ")
        self.type(LEAVE)
        self.type(LEAVE)
        time.sleep(1.2)
        self.assertIsNone(self.process.poll(), "two presses are enough")
        self.type(LEAVE * 3)
        self.end(0)

    def test_leaving_at_once(self):
        self.expect(b"Ctrl-]")
        time.sleep(0.05)
        self.type(LEAVE * 3)
        self.end(0)

    def test_signals_restore_the_terminal(self):
        self.expect(b"# ")
        self.process.send_signal(signal.SIGTERM)
        self.end(128 + signal.SIGTERM)

    def test_a_crash_of_ours_restores_the_terminal(self):
        self.expect(b"# ")
        self.process.send_signal(signal.SIGABRT)
        self.end(-signal.SIGABRT)

    def test_a_closed_terminal_ends_the_run(self):
        self.expect(b"# ")
        os.close(self.ours)
        self.ours = None
        self.assertEqual(self.process.wait(timeout=30), 128 + signal.SIGHUP)
        self.assertEqual(session_members(self.process.pid), [])
