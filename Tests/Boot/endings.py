"""How runs end that do not end by themselves, or not well."""

import os
import select
import signal
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
