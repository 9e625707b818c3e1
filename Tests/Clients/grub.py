"""Compact disks that GRUB boots, which SeaBIOS reads in real mode."""

import os
import shutil
import subprocess

from initrd import write_shell
from qemu import QemuTest
from support import kernel

CONSOLES = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"

LINUX = """set timeout=1
menuentry Linux {
  linux /vmlinuz console=ttyS0 panic=-1
  initrd /initrd
}
"""

# An entry further down, chosen with keys; GRUB itself says that it was, and switches off.
MENU = """set timeout=-1
menuentry "The first" { echo wrong; halt }
menuentry "The second" { echo "chosen: the $chosen"; sleep 1; halt }
menuentry "The third" { echo wrong; halt }
"""


class Disks(QemuTest):
    def disk(self, configuration, **files):
        """Makes a disk with a configuration of GRUB's and some files."""
        root = os.path.join(self.folder, "root")
        os.makedirs(os.path.join(root, "boot", "grub"))
        with open(os.path.join(root, "boot", "grub", "grub.cfg"), "w", encoding="utf-8") as file:
            file.write(CONSOLES + configuration)
        for name, path in files.items():
            shutil.copy(path, os.path.join(root, name))
        image = os.path.join(self.folder, "disk.iso")
        made = subprocess.run(
            ["grub-mkrescue", "--output", image, "--directory=/usr/lib/grub/i386-pc", root],
            capture_output=True, text=True, check=False, timeout=120,
            env=dict(os.environ, TMPDIR=self.folder))
        self.assertEqual(made.returncode, 0, made.stderr)
        return image

    def test_disk_with_linux(self):
        initrd = write_shell(os.path.join(self.folder, "initrd"), "/bin/busybox")
        image = self.disk(LINUX, vmlinuz=kernel("cloud"), initrd=initrd)
        machine = self.qemu("pc", "-m", "512M", "-cdrom", image, "-no-reboot")
        machine.expect("^guest> ")
        status, output = machine.run("cat /proc/cmdline")
        self.assertEqual((status, "BOOT_IMAGE=/vmlinuz" in output), (0, True), output)
        self.power_off(machine)

    def test_disk_with_menu(self):
        machine = self.qemu("q35", "-m", "64M", "-cdrom", self.disk(MENU))
        machine.expect("The first")
        machine.expect("The third")
        machine.type("\x1b[B")
        machine.type("\r")
        machine.expect("chosen: the The second")
        self.assertEqual(machine.end(), 0, machine.story())
