"""How runs end that do not end by themselves, or not well."""

import os
import random
import select
import signal
import struct
import subprocess
import time

from support import ApusTest, kernel


class Signals(ApusTest):
    def running(self, **streams):
        """A guest whose command has begun and waits."""
        process = self.start(
            "run", "--kernel", kernel("cloud"), "--", "sh", "-c", "echo ready; sleep 1000",
            **streams)
        self.assertTrue(select.select([process.stdout], [], [], 120)[0], "the guest does not start")
        self.assertEqual(os.read(process.stdout.fileno(), 6), b"ready\n")
        return process

    def test_signals_end_the_run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number.name):
                process = self.running()
                process.send_signal(number)
                begin = time.monotonic()
                status, _, errors = self.finish(process)
                self.assertEqual((status, errors), (128 + number, ""))
                self.assertLess(time.monotonic() - begin, 5)

    def test_a_signal_before_the_guest_is_up(self):
        for delay in (0.02, 0.1, 0.3):
            process = self.start("run", "--kernel", kernel("cloud"), "--", "sleep", "1000")
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            # Before the program has begun to watch for it, the signal itself ends it.
            self.assertIn(process.returncode, (128 + signal.SIGTERM, -signal.SIGTERM))

    def test_output_that_nobody_reads_ends_the_run(self):
        process = self.start("run", "--kernel", kernel("cloud"), "--", "yes")
        self.assertEqual(process.stdout.read(2), b"y\n")
        process.stdout.close()
        process.stdout = None
        status, _, errors = process.wait(timeout=60), None, process.stderr.read()
        self.assertEqual((status, errors), (128 + signal.SIGPIPE, b""))

    def test_a_signal_ends_a_run_whose_output_is_stuck(self):
        process = self.start("run", "--kernel", kernel("cloud"), "--", "yes")
        self.assertEqual(process.stdout.read(2), b"y\n")
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 128 + signal.SIGTERM)


    def test_a_signal_ends_a_run_whose_last_output_is_stuck(self):
        process = self.start(
            "run", "--kernel", kernel("cloud"), "--", "head", "-c", "100000", "/dev/zero")
        self.assertEqual(process.stdout.read(2), b"\0\0")
        time.sleep(2)
        self.assertIsNone(process.poll(), "output that nobody has read is gone")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=30), 128 + signal.SIGINT)


class Deaths(ApusTest):
    def test_a_panic_before_the_command_shows_the_console(self):
        status, output, errors = self.guest("true", options=["--append", "rdinit=/nonexistent"])
        self.assertEqual((status, output), (125, ""))
        self.assertIn("before its command could run", errors)
        self.assertIn("Kernel panic", errors)

    def test_a_power_off_in_the_middle(self):
        status, output, errors = self.guest("sh", "-c", "echo so far; poweroff -f")
        self.assertEqual((status, output), (125, "so far\n"))
        self.assertIn("powered off before its command ended", errors)

    def test_a_reset_in_the_middle(self):
        status, _, errors = self.guest("sh", "-c", "reboot -f")
        self.assertEqual(status, 125)
        self.assertIn("was reset before its command ended", errors)

    def test_a_crash_in_the_middle(self):
        status, _, errors = self.guest("sh", "-c", "echo c >/proc/sysrq-trigger; sleep 1000")
        self.assertEqual(status, 125)
        self.assertIn("Kernel panic", errors)

    def test_too_little_memory_for_the_kernel(self):
        status, output, errors = self.guest("true", options=["-m", "16M"])
        self.assertEqual((status, output), (2, ""))
        self.assertIn("-m", errors)


class Consoles(ApusTest):
    """A kernel and an initial RAM disk of the user's, without a terminal."""

    def test_a_broken_initial_ram_disk(self):
        path = os.path.join(self.folder, "initrd")
        with open(path, "wb") as file:
            file.write(b"not an archive")
        process = self.start("run", "--kernel", kernel("cloud"), "--initrd", path)
        output, errors = process.communicate(timeout=120)
        self.assertEqual((process.returncode, errors), (0, b""))
        self.assertIn(b"Linux version", output)
        self.assertIn(b"Kernel panic", output)

    def test_words_for_the_kernel(self):
        status, output, errors = self.guest(
            "cat", "/proc/cmdline", options=["--append", "one two=3"])
        self.assertEqual((status, errors), (0, ""))
        self.assertTrue(output.endswith(" one two=3\n"), output)

    def test_words_that_are_too_many(self):
        status, _, errors = self.guest("true", options=["--append", "x" * 5000])
        self.assertEqual(status, 2)
        self.assertIn("--append", errors)


def tiny_kernel(code):
    """An ELF kernel of a few instructions, in 64-bit mode at its first byte."""
    base = 0x200000
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 120, base, base, len(code), len(code), 4096)
    return header + segment + code


class TinyKernels(ApusTest):
    """What every guest can do at its very first instruction."""

    PRINT = bytes.fromhex("66baf803 b068 ee b069 ee b00a ee")
    POWER_OFF = bytes.fromhex("66ba0406 66b80034 66ef f4ebfd")
    RESET = bytes.fromhex("66baf90c b006 ee f4ebfd")
    UNDEFINED = bytes.fromhex("0f0b")
    SPIN = bytes.fromhex("ebfe")
    HALT = bytes.fromhex("faf4ebfd")

    def launch(self, code):
        path = os.path.join(self.folder, "kernel")
        with open(path, "wb") as file:
            file.write(tiny_kernel(code))
        return self.start("run", "--kernel", path, "--initrd", path)

    def end(self, process):
        output, errors = process.communicate(timeout=60)
        return process.returncode, output.decode(), errors.decode()

    def test_power_off(self):
        self.assertEqual(self.end(self.launch(self.PRINT + self.POWER_OFF)), (0, "hi\n", ""))

    def test_reset(self):
        self.assertEqual(self.end(self.launch(self.PRINT + self.RESET)), (0, "hi\n", ""))

    def test_triple_fault(self):
        status, output, errors = self.end(self.launch(self.PRINT + self.UNDEFINED))
        self.assertEqual((status, output), (125, "hi\n"))
        self.assertIn("triple fault", errors)
        self.assertRegex(errors, r"rip 0*20000d")

    def test_guests_that_never_end(self):
        for code in (self.SPIN, self.HALT):
            process = self.launch(self.PRINT + code)
            self.assertEqual(process.stdout.read(3), b"hi\n")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(self.end(process)[0], 128 + signal.SIGTERM)

    def test_random_code_does_not_end_us(self):
        seed = random.randrange(1 << 32)
        for number in range(seed, seed + 100):
            process = self.launch(random.Random(number).randbytes(4096))
            try:
                process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)
            status, _, errors = self.end(process)
            self.assertIn(status, (0, 125, 128 + signal.SIGTERM), f"seed {number}: {errors}")


class Descriptors(ApusTest):
    def test_closed_standard_streams(self):
        result = subprocess.run(
            ["sh", "-c", '"$@" <&- 2>&-', "sh", self.apus_path(), "run", "--kernel",
             kernel("cloud"), "--", "echo", "hello"], capture_output=True, timeout=120, check=False)
        self.assertEqual((result.returncode, result.stdout), (0, b"hello\n"))

    @staticmethod
    def apus_path():
        from support import APUS
        return APUS
