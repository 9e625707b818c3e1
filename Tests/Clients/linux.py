"""Debian's QEMU boots Debian's kernels to a shell on each of its machines."""

import os
import unittest

from initrd import write_shell
from qemu import ENGINE, QemuTest
from support import cache, kernel

BUSYBOX = "/bin/busybox"
# What guides to Windows guests say; with it QEMU refuses to start where one of these is missing.
HYPER_V = (
    "hv_relaxed,hv_vapic,hv_time,hv_synic,hv_stimer,hv_stimer_direct,hv_vpindex,hv_runtime,"
    "hv_reset,hv_crash,hv_frequencies,hv_reenlightenment,hv_tlbflush,hv_ipi,"
    "hv_spinlocks=0x1fff")
# A microvm with ACPI has no timer that Linux could measure others by, only KVM's clock.
needs_clock = unittest.skipIf(ENGINE == "tcg", "QEMU's own engine does not have KVM's clock")


class LinuxTest(QemuTest):
    flavour, busybox = "cloud", BUSYBOX

    def boot(self, machine, *options, append="", memory="512M"):
        """Starts QEMU with the kernel, and waits for the shell."""
        image = kernel(self.flavour)
        initrd = write_shell(os.path.join(self.folder, "initrd"), self.busybox)
        guest = self.qemu(
            machine, "-m", memory, "-kernel", image, "-initrd", initrd,
            "-append", f"console=ttyS0 panic=-1 {append}", "-no-reboot", *options)
        guest.expect("^guest> ")
        return guest

    def check(self, machine, processors, *options, **settings):
        """A boot with some processors, a shell, a clean power-off."""
        guest = self.boot(machine, "-smp", str(processors), *options, **settings)
        self.assertEqual(guest.run("nproc"), (0, f"{processors}\n"))
        status, output = guest.run("uname -r")
        self.assertEqual((status, output.strip() in kernel(self.flavour)), (0, True), output)
        self.assertEqual(guest.run("sleep 1; false")[0], 1)
        self.power_off(guest)


class Quick(LinuxTest):
    def test_pc(self):
        self.check("pc", 1)

    def test_q35_with_four_processors(self):
        self.check("q35", 4)

    @needs_clock
    def test_microvm(self):
        self.check("microvm", 1)


class Machines(LinuxTest):
    def test_pc_with_four_processors(self):
        self.check("pc", 4)

    def test_q35(self):
        self.check("q35", 1)

    @needs_clock
    def test_microvm_with_four_processors(self):
        self.check("microvm", 4)

    def test_every_feature_there_is(self):
        self.check("q35", 2, "-cpu", "max")

    @unittest.skipIf(ENGINE == "tcg", "QEMU's own engine does not have Hyper-V's interface")
    def test_hyper_v(self):
        # With KVM's interface in sight Linux prefers that, so the second guest does not see it.
        for own in ("on", "off"):
            with self.subTest(kvm=own):
                guest = self.boot("q35", "-smp", "2", "-cpu", f"max,kvm={own},{HYPER_V}")
                if own == "off":
                    self.assertIn("Microsoft Hyper-V", guest.run("dmesg")[1])
                self.assertEqual(guest.run("sleep 1; false")[0], 1)
                self.power_off(guest)

    @unittest.skipIf(ENGINE == "tcg", "QEMU's own engine has no interrupt chips in a kernel")
    def test_interrupt_chips_elsewhere(self):
        for place, processors in (("split", 2), ("off", 1)):
            with self.subTest(place):
                self.check(f"q35,kernel-irqchip={place}", processors)

    def test_memory_above_the_hole(self):
        guest = self.boot("q35", memory="5G")
        status, output = guest.run("grep MemTotal /proc/meminfo")
        self.assertEqual(status, 0)
        self.assertGreater(int(output.split()[1]), 4800 << 10)
        self.power_off(guest)

    def test_reset(self):
        initrd = write_shell(os.path.join(self.folder, "initrd"), self.busybox)
        guest = self.qemu("pc", "-m", "512M", "-kernel", kernel("cloud"), "-initrd", initrd,
                          "-append", "console=ttyS0")
        for _ in range(3):
            guest.expect("^guest> ")
            guest.type("reboot -f\n")
        guest.expect("^guest> ")
        guest.command("system_reset")
        guest.expect("^guest> ")
        self.power_off(guest)

    def test_work_survives_processors_and_time(self):
        # Several busy processes with vector state, timers and pipes, on more processors than hosts.
        guest = self.boot("q35", "-smp", "4")
        script = "for i in 1 2 3 4 5 6 7 8; do " \
            "(for j in 1 2 3 4 5; do sha512sum /bin/busybox | md5sum; done | sort -u) & " \
            "done | sort | uniq -c; wait"
        status, output = guest.run(script)
        self.assertEqual(status, 0)
        self.assertRegex(output, r"^\s*8 [0-9a-f]{32}  -\n$")
        self.power_off(guest)

    def test_saved_and_restored(self):
        state = os.path.join(self.folder, "state")
        guest = self.boot("q35", "-smp", "2")
        guest.run("secret=kept; (while true; do date +%s >/tmp/now; sleep 1; done) & true")
        guest.command("migrate", uri=f"exec:cat >{state}")
        while guest.command("query-migrate").get("status") not in ("completed", "failed"):
            guest.read(0.2)
        self.assertEqual(guest.command("query-migrate")["status"], "completed")
        guest.command("quit")
        self.assertEqual(guest.end(), 0, guest.story())

        image, initrd = kernel(self.flavour), os.path.join(self.folder, "initrd")
        again = self.qemu(
            "q35", "-m", "512M", "-smp", "2", "-kernel", image, "-initrd", initrd,
            "-append", "console=ttyS0 panic=-1 ", "-no-reboot", "-incoming", f"exec:cat {state}")
        while again.command("query-status")["status"] != "running":
            again.read(0.2)
        again.type("\n")
        again.expect("guest> ")
        self.assertEqual(again.run("echo $secret; test -s /tmp/now"), (0, "kept\n"))
        self.assertEqual(again.run("a=$(cat /tmp/now); sleep 3; test \"$a\" != \"$(cat /tmp/now)\"")[0], 0)
        self.power_off(again)


class NoPAE(LinuxTest):
    """Debian's kernel for 32-bit processors, with two levels of page tables."""
    flavour = "686"

    def setUp(self):
        super().setUp()
        kernel(self.flavour)
        self.busybox = os.path.join(cache(), "i386", "busybox")

    def test_pc(self):
        self.check("pc", 1)

    def test_q35(self):
        self.check("q35", 1)


class PAE(NoPAE):
    """The same with three levels, and several processors."""
    flavour = "686-pae"

    def test_four_processors(self):
        self.check("pc", 4)
