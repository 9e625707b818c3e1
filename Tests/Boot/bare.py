"""Programs without an operating system: what they print, and how they end."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time

from support import APUS, ROOT, ApusTest

FLAGS = [
    "-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-mno-red-zone",
    "-mgeneral-regs-only", "-nostdlib", "-static", "-Wl,-z,noseparate-code",
    "-Wl,-Ttext-segment=0x100000", "-Wl,--build-id=none"]


class BareTest(ApusTest):
    def program(self, content):
        """The path of a flat binary."""
        path = os.path.join(self.build, "program")
        with open(path, "wb") as file:
            file.write(content)
        return path

    def compile(self, source, *flags):
        path = os.path.join(self.build, "compiled")
        subprocess.run(
            ["gcc", *flags, *FLAGS, "-o", path, os.path.join(ROOT, "Guests", source)], check=True)
        return path

    def setUp(self):
        super().setUp()
        self.build = self.enterContext(tempfile.TemporaryDirectory())

    def bare(self, *arguments, accelerator="soft"):
        return self.apus("bare", "--accel", accelerator, *arguments)


class Modes(BareTest):
    def check(self, path, *arguments):
        for accelerator in ("soft", "auto"):
            status, output, errors = self.bare(path, *arguments, accelerator=accelerator)
            self.assertEqual((status, output), (42, "Hello, world!\n"), errors)
            self.assertIn("rax 000000000000002a", errors)

    def test_real_mode(self):
        path = os.path.join(self.build, "hello16")
        subprocess.run(
            ["nasm", "-f", "bin", "-o", path, os.path.join(ROOT, "Guests/hello/hello16.asm")],
            check=True)
        self.check(path)

    def test_protected_and_paged_mode(self):
        path = self.compile("hello/hello.c", "-m32")
        self.check(path)
        self.check(path, "--mode", "paged")

    def test_long_mode(self):
        self.check(self.compile("hello/hello.c", "-m64"))

    def test_kvm_runs_what_it_can(self):
        """A host's own KVM prints the same, or the run ends with a documented status."""
        path = self.compile("hello/hello.c", "-m32")
        status, output, errors = self.bare(path, accelerator="kvm")
        if status == 2:
            self.assertIn("/dev/kvm", errors)
            self.skipTest(errors.strip())
        self.assertEqual((status, output), (42, "Hello, world!\n"), errors)


# What Guests/modes/modes32.asm prints: which selectors, flags and descriptor types a processor shows.
OLD_MODES = """\
g22222222 11111111 fffffff8 00000023
u00000000 0000001b
h3333 fffe
u00000000
X0000000d 00000058
X0000000b 00000060
100000089 0000008b 00000000
b0000008b 00000089 00000000
20000008b 0000008b 00004000 00000030
c0000008b 00000089 00000000
30000008b 0000008b 00004000 00000030 00000000
d0000008b 00000089 00000000
f00000008 00000038 00000040
e0000008b 00000089 00000000
v0000000e 00002000 00023000 00001000 00003000 00002000
32023002
X0000000d 00000000
X0000000d 00000000
X0000000d 00000000
32023202 30023002
X0000000d 00000000
0000600d X0000000d 00000000
0000600d X0000000d 00000000
00000031 00000033
600dcafe 000000a3 X0000000e 00000000
00600000
"""


class OldModes(BareTest):
    """Call gates, tasks, virtual-8086 mode, segments that expand down, PAE, unreal mode."""

    def test_old_modes(self):
        path = os.path.join(self.build, "modes32")
        subprocess.run(
            ["nasm", "-f", "bin", "-o", path, os.path.join(ROOT, "Guests/modes/modes32.asm")],
            check=True)
        status, output, errors = self.bare("--mode", "protected", "--load", "0x100000", path)
        self.assertEqual(output.replace(" \n", "\n"), OLD_MODES)
        self.assertEqual(status, 42, errors)


class Thin(BareTest):
    def test_random_bytes(self):
        path = self.compile("thin/rng.c", "-m32")
        seen = set()
        for _ in range(2):
            status, output, errors = self.bare("--start-info", "-m", "64M", path)
            self.assertEqual(status, 0, output + errors)
            self.assertIn("device d0000000 interrupt 10\n", output)
            self.assertIn("memory 00100000 size 00002000 kernel\n", output)
            sizes = [int(size, 16) for size in re.findall(r"^memory \w+ size (\w+)", output, re.M)]
            self.assertEqual(sum(sizes), 64 << 20)
            found = re.search(r"^random bytes:((?: [0-9a-f]{2}){32})$", output, re.M)
            self.assertTrue(found, output)
            seen.add(found[1])
        self.assertEqual(len(seen), 2, "the same bytes twice")

    def test_sleep_without_interrupts_is_the_end(self):
        # mov eax, 5; hlt
        status, _, errors = self.bare("--start-info", self.program(b"\xb8\5\0\0\0\xf4"))
        self.assertEqual(status, 5, errors)
        self.assertIn("halted", errors)

    def test_without_the_structure_it_says_so(self):
        path = self.compile("thin/rng.c", "-m32")
        status, output, _ = self.bare(path)
        self.assertEqual((status, output), (1, "there is no start structure\n"))


class Preloaded(BareTest):
    """The path through /dev/kvm's ioctls, with the software engine behind them."""

    def kernel(self, *arguments):
        return self.apus("kvm", "--", APUS, "bare", "--accel", "kvm", *arguments)

    def test_every_mode(self):
        path = self.compile("hello/hello.c", "-m32")
        for mode in ("protected", "paged"):
            with self.subTest(mode):
                status, output, errors = self.kernel(path, "--mode", mode)
                self.assertEqual((status, output), (42, "Hello, world!\n"), errors)
        path = self.compile("hello/hello.c", "-m64")
        status, output, errors = self.kernel(path)
        self.assertEqual((status, output), (42, "Hello, world!\n"), errors)

    def test_a_device_with_its_interrupt(self):
        status, output, errors = self.kernel("--start-info", self.compile("thin/rng.c", "-m32"))
        self.assertEqual(status, 0, output + errors)
        self.assertRegex(output, r"random bytes:( [0-9a-f]{2}){32}\n$")

    def test_sleep_without_interrupts_is_the_end(self):
        status, _, errors = self.kernel("--start-info", self.program(b"\xb8\5\0\0\0\xf4"))
        self.assertEqual(status, 5, errors)

    def test_auto_takes_it(self):
        status, _, errors = self.apus(
            "kvm", "--", APUS, "bare", "-v", self.program(b"\xb0\0\xf4"))
        self.assertEqual(status, 0, errors)
        self.assertIn("guest code runs on kvm: ", errors)


class Ends(BareTest):
    def test_exit_port(self):
        # mov al, 7; out 0xf4, al
        status, output, errors = self.bare(self.program(b"\xb0\x07\xe6\xf4\xf4"))
        self.assertEqual((status, output, errors), (7, "", ""))

    def test_halt_with_the_status_of_a_crash(self):
        # mov al, 125; hlt
        status, _, errors = self.bare(self.program(b"\xb0\x7d\xf4"))
        self.assertEqual(status, 125)
        self.assertEqual(errors.count("halted"), 1, errors)

    def test_triple_fault(self):
        # ud2, without an interrupt table.
        path = self.program(b"\x0f\x0b")
        status, _, errors = self.bare("--mode", "protected", path)
        self.assertEqual(status, 125)
        self.assertIn("triple fault (processor 0, protected mode", errors)
        self.assertIn("rip 0000000000000000", errors)
        self.assertIn("code 0f 0b  ud2\n", errors)

    def test_json(self):
        # mov eax, "ABCD"; mov dx, 0xe9; out dx, eax; hlt
        path = self.program(b"\xb8\x41\x42\x43\x44\x66\xba\xe9\x00\xef\xf4")
        status, output, errors = self.bare("--mode", "long", "--json", path)
        self.assertEqual((status, errors), (0x41, ""))
        report = json.loads(output)
        self.assertEqual(report["end"], "halted")
        self.assertEqual(report["console"], "ABCD")
        self.assertEqual(report["registers"]["rax"], "0x44434241")

    def test_interruption(self):
        # jmp $
        process = self.start("bare", "--accel", "soft", self.program(b"\xeb\xfe"))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        status, _, _ = self.finish(process)
        self.assertEqual(status, 130)

    def test_endless_output_to_a_closed_pipe(self):
        # again: out 0xe9, al; jmp again
        process = self.start("bare", "--accel", "soft", self.program(b"\xe6\xe9\xeb\xfc"))
        process.stdout.read(1 << 20)
        process.stdout.close()
        self.assertEqual(process.wait(timeout=30), 141)


class Refusals(BareTest):
    def test_refusals(self):
        path = self.program(b"\xf4")
        directory = self.build
        for arguments, mention in [
                (["/nonexistent"], "does not exist"), ([directory], "directory"),
                (["/dev/zero"], "device"), (["/bin/true"], "dynamic linker"),
                ([path, "-m", "4K"], "-m"), ([path, "-m", "4G"], "-m"),
                ([path, "-m", "65537K"], "4K"), ([path, "--mode", "virtual"], "virtual"),
                ([path, "--load", "512M"], "512M"), ([path, "--load", "0x20000000"], "-m"),
                ([path, "--entry", "0x20000000"], "0x20000000"), ([path, "--load=-1"], "-1"),
                ([path, "--load", "0x200000"], "real mode"),
                ([path, "--start-info", "--load", "0x6fff"], "--start-info"),
                ([], "file")]:
            with self.subTest(arguments=arguments):
                status, output, errors = self.bare(*arguments)
                self.assertEqual((status, output), (2, ""), errors)
                self.assertTrue(errors.startswith("apus: "), errors)
                self.assertEqual(errors.count("\n"), 1, f"not one line: {errors}")
                self.assertIn(mention, errors)

    def test_damaged_elf(self):
        with open(self.compile("hello/hello.c", "-m32"), "rb") as file:
            content = bytearray(file.read())
        content[44] = 0xff
        status, _, errors = self.bare(self.program(bytes(content)))
        self.assertEqual(status, 2)
        self.assertIn("damaged", errors)

    def test_the_choice_is_explained(self):
        _, _, errors = self.bare("-v", self.program(b"\xf4"), accelerator="auto")
        self.assertRegex(errors, r"guest code runs on (kvm|soft): ")
