"""Guests that do what they are told."""

import os
import re
import subprocess

from support import ROOT, ApusTest, kernel


class AnyBackEnd:
    """What every back end must be able to do; `guest` runs a command on one."""

    def test_both_kernels(self):
        for flavour in ("cloud", "generic"):
            with self.subTest(flavour):
                status, output, errors = self.guest("uname", "-r", flavour=flavour)
                self.assertEqual((status, errors), (0, ""))
                self.assertIn(output.strip(), os.path.basename(kernel(flavour)))

    def check_processors(self, count):
        status, output, errors = self.guest(
            "grep", "-c", "^processor", "/proc/cpuinfo", options=["-c", str(count)])
        self.assertEqual((status, output, errors), (0, f"{count}\n", ""))


class Boots(AnyBackEnd, ApusTest):
    def test_default_kernel(self):
        kernel("cloud")
        status, output, errors = self.apus("run", "--", "echo", "hello")
        self.assertEqual((status, output, errors), (0, "hello\n", ""))

    def test_report(self):
        status, output, errors = self.apus("run", "--kernel", kernel("cloud"))
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("Linux apus", output)
        self.assertRegex(output, r"memory: \d+ MiB")
        self.assertRegex(output, r"processors: 1")
        self.assertRegex(output, r"\d+\.\d{3} s  in all")

    def test_processors(self):
        for count in (2, 4):
            with self.subTest(count):
                self.check_processors(count)

    def memory(self, amount):
        status, output, errors = self.guest(
            "grep", "MemTotal", "/proc/meminfo", options=["-m", amount])
        self.assertEqual((status, errors), (0, ""))
        return int(re.search(r"\d+", output).group()) >> 10

    def test_little_memory(self):
        self.assertTrue(70 < self.memory("128M") <= 128)

    def test_three_gigabytes(self):
        self.assertTrue(2800 < self.memory("3G") <= 3072)

    def test_memory_above_the_hole(self):
        self.assertTrue(4800 < self.memory("5G") <= 5120)

    def test_memory_above_the_hole_works(self):
        # Linux takes memory above 4 GiB first, so that is where the copies are.
        script = "mount -t tmpfs -o size=1g t /mnt && " \
            "for i in $(seq 100); do cp /bin/busybox /mnt/$i; done; cat /mnt/* | md5sum; " \
            "for i in $(seq 100); do cat /bin/busybox; done | md5sum"
        status, output, errors = self.guest("sh", "-c", script, options=["-m", "5G"])
        self.assertEqual((status, errors), (0, ""))
        self.assertRegex(output, r"^(\S{32})  -\n\1  -\n$")

    def test_32_bit_user_code(self):
        source = os.path.join(ROOT, "Guests", "user32", "main.c")
        program = os.path.join(self.folder, "user32")
        subprocess.run(
            ["gcc", "-m32", "-static", "-nostdlib", "-fno-pie", "-fno-pic", "-no-pie", "-O1",
             "-fno-stack-protector", "-o", program, source], check=True)
        with open(program, "rb") as file:
            code = file.read()
        os.remove(program)
        with open(source, encoding="utf-8") as file:
            expected = "".join(re.findall(r"^//   (.*\n)", file.read(), re.MULTILINE))

        status, output, errors = self.guest(
            "sh", "-c", "cat >/tmp/user32; chmod +x /tmp/user32; exec /tmp/user32", given=code)

        self.assertEqual((status, output, errors), (32, expected, ""))

    def test_floating_point_and_vectors_survive_switches(self):
        # Two busy processes with their own vector state, checked by a third.
        script = "md5sum </bin/busybox >/tmp/a & sha512sum </bin/busybox >/tmp/b & " \
            "awk 'BEGIN { for (i = 1; i <= 20000; i++) s += 1 / i; printf \"%.9f\\n\", s }'; wait; " \
            "md5sum </bin/busybox | cmp - /tmp/a && sha512sum </bin/busybox | cmp - /tmp/b"
        status, output, errors = self.guest("sh", "-c", script)
        self.assertEqual((status, output, errors), (0, "10.480728217\n", ""))


class Streams(ApusTest):
    def test_streams_and_status(self):
        status, output, errors = self.guest("sh", "-c", "echo out; echo err >&2; exit 42")
        self.assertEqual((status, output, errors), (42, "out\n", "err\n"))

    def test_arguments_arrive_as_they_are(self):
        arguments = ["", " ", "a b", "'", '"', "\\", "$HOME", "ü", "--", "-m", "\n", "*"]
        status, output, errors = self.guest("sh", "-c", 'printf "<%s>" "$@"', "sh", *arguments)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(output, "".join(f"<{word}>" for word in arguments))

    def test_input_reaches_the_command_whole(self):
        given = bytes(range(256)) * 4096
        process = self.start(
            "run", "--kernel", kernel("cloud"), "--", "cat", stdin=subprocess.PIPE)
        output, errors = process.communicate(given, timeout=120)
        self.assertEqual((process.returncode, errors), (0, b""))
        self.assertTrue(output == given, f"{len(output)} of {len(given)} bytes, or others")

    def test_no_input_is_the_end_of_input(self):
        status, output, errors = self.guest("sh", "-c", "cat; echo end")
        self.assertEqual((status, output, errors), (0, "end\n", ""))

    def test_large_output_arrives_whole(self):
        script = "yes 0123456789 | head -c 20000000"
        process = self.start("run", "--kernel", kernel("cloud"), "--", "sh", "-c", script)
        output, errors = process.communicate(timeout=120)
        self.assertEqual((process.returncode, errors), (0, b""))
        expected = (b"0123456789\n" * 1818182)[:20000000]
        self.assertTrue(output == expected, f"{len(output)} of 20000000 bytes, or others")

    def test_status_of_a_killed_command(self):
        self.assertEqual(self.guest("sh", "-c", "kill -TERM $$")[0], 128 + 15)

    def test_a_command_that_is_not_there(self):
        status, output, errors = self.guest("frobnicate")
        self.assertEqual((status, output), (127, ""))
        self.assertIn("frobnicate", errors)

    def test_kernel_messages_only_on_request(self):
        status, output, errors = self.guest("true", options=["--verbose"])
        self.assertEqual((status, output), (0, ""))
        self.assertIn("Linux version", errors)
