"""Firmware, and programs that run without an operating system."""

import glob
import os
import shutil
import unittest

from qemu import QemuTest

UEFI = "/usr/share/OVMF"
INSTALLER = "/usr/lib/debian-installer/images/*/amd64/text/debian-installer/amd64"


class Firmware(QemuTest):
    def test_bios_screen(self):
        machine = self.qemu("pc", "-m", "64M")
        text = machine.expect_screen("No bootable device")
        self.assertRegex(text, r"SeaBIOS \(version ")

    def uefi_shell(self, *options, build="OVMF_CODE_4M.fd"):
        code = os.path.join(UEFI, build)
        variables = shutil.copy(os.path.join(UEFI, "OVMF_VARS_4M.fd"), self.folder)
        flash = "if=pflash,format=raw,file="
        machine = self.qemu(
            "q35", "-m", "256M", "-drive", f"readonly=on,{flash}{code}",
            "-drive", f"{flash}{variables}", *options)
        machine.expect(r"Shell>")
        # What the flash is told stays there: a slot that is memory for reads and a device for writes.
        machine.type("setvar Apus -guid 12345678-1234-1234-1234-123456789abc -bs -nv =0x55aa\r")
        machine.expect(r"Shell>")
        machine.type("setvar Apus -guid 12345678-1234-1234-1234-123456789abc\r")
        machine.expect(r"AA 55")
        self.power_off(machine, "reset -s\r")

    def test_uefi_shell(self):
        self.uefi_shell()

    def test_uefi_shell_with_four_processors(self):
        self.uefi_shell("-smp", "4")

    def test_uefi_shell_with_system_management(self):
        # This build keeps variables in system-management mode, where alone the flash can be written.
        self.uefi_shell(
            "-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
            "-smp", "2", build="OVMF_CODE_4M.secboot.fd")


class Programs(QemuTest):
    def memory_test(self, image, *options):
        machine = self.qemu("pc", "-m", "8M", "-kernel", f"/boot/{image}", *options)
        text = machine.expect_screen(r"Pass: +[1-9]", limit=900)
        self.assertRegex(text, r"Errors: +0")
        self.assertIn("Memtest86+", text)

    def test_memory_test(self):
        self.memory_test("memtest86+x64.bin")

    def test_memory_test_of_32_bits(self):
        self.memory_test("memtest86+ia32.bin")

    def test_debian_installer(self):
        images = sorted(glob.glob(INSTALLER))
        if not images:
            raise unittest.SkipTest("the package debian-installer-12-netboot-amd64 is missing")
        machine = self.qemu(
            "q35", "-m", "1G", "-kernel", os.path.join(images[-1], "linux"),
            "-initrd", os.path.join(images[-1], "initrd.gz"),
            "-append", "console=ttyS0 TERM=linux ---")
        machine.expect("Select a language", limit=300)
        machine.expect("English")
