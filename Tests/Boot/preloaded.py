"""Whole guests on KVMLinux: `--accel kvm` with the preload library as /dev/kvm."""

import signal
import time

from boots import AnyBackEnd
from support import APUS, ApusTest, kernel


class Preloaded(AnyBackEnd, ApusTest):
    def guest(self, *command, options=(), given=None, flavour="cloud"):
        return self.apus(
            "kvm", "--", APUS, "run", "--accel", "kvm", "--kernel", kernel(flavour), *options, "--",
            *command, given=given)

    def test_the_guest_sees_its_hypervisor(self):
        status, output, errors = self.guest(
            "sh", "-c", "dmesg | grep -E 'Hypervisor detected|clock: Using msrs|TIMER|MP-BIOS'",
            options=["-v"])
        self.assertEqual(status, 0, errors)
        self.assertIn("Hypervisor detected: KVM", output)
        self.assertIn("kvm-clock: Using msrs", output)
        self.assertIn("pin1=2", output, "the timer is the I/O APIC's input 2")
        self.assertNotIn("MP-BIOS bug", output)

    def test_status_and_input(self):
        status, output, errors = self.guest("sh", "-c", "cat; exit 42", given=b"hello\n")
        self.assertEqual((status, output, errors), (42, "hello\n", ""))

    def test_memory_above_the_hole(self):
        status, output, errors = self.guest(
            "sh", "-c", "head -c 67108864 /dev/zero | md5sum", options=["-m", "5G"])
        self.assertEqual((status, errors), (0, ""))
        self.assertTrue(output.startswith("7f614da9329cd3aebf59b91aadc30bf0"), output)

    def test_processors(self):
        self.check_processors(4)

    def test_interruption(self):
        process = self.start(
            "kvm", "--", APUS, "run", "--accel", "kvm", "--kernel", kernel("cloud"), "--", "sleep",
            "1000")
        time.sleep(4)
        process.send_signal(signal.SIGTERM)
        status, _, _ = self.finish(process)
        self.assertEqual(status, 128 + signal.SIGTERM)
