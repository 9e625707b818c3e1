"""Disk images: the commands that work on them, against qemu-img, and guests that use them."""

import fcntl
import glob
import json
import os
import random
import shutil
import subprocess
import unittest

import initrd
from support import ApusTest, cache, kernel

MEBIBYTE = 1 << 20


def qemu_img(*arguments, status=0):
    """What qemu-img prints; skips the test where there is none."""
    if shutil.which("qemu-img") is None:
        raise unittest.SkipTest("no qemu-img: install qemu-utils")
    run = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == status, f"qemu-img {arguments}: {run.stdout}{run.stderr}"
    return run.stdout


class DiskTest(ApusTest):
    def path(self, name):
        return os.path.join(self.work, name)

    def setUp(self):
        super().setUp()
        # Not in the folder that has to be empty at the end.
        self.work = self.folder + "-disks"
        os.mkdir(self.work)
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def disk(self, *arguments, status=0):
        """Output and errors of apus disk."""
        result = self.apus("disk", *arguments)
        self.assertEqual(result[0], status, result)
        return result[1:]

    def raw(self, name, size=8 * MEBIBYTE):
        """A raw image with pieces of data in it."""
        source = random.Random(name)
        with open(self.path(name), "wb") as file:
            file.truncate(size)
            for _ in range(20):
                file.seek(source.randrange(size // 4096 - 16) * 4096)
                file.write(source.randbytes(source.randrange(1, 16) * 4096))
        return self.path(name)


class Commands(DiskTest):
    def test_create_and_info_agree_with_qemu(self):
        for cluster in (512, 65536, 2 * MEBIBYTE):
            path = self.path(f"{cluster}.qcow2")
            self.disk("create", "--cluster-size", str(cluster), path, "1G")
            qemu_img("check", path)
            theirs = json.loads(qemu_img("info", "--output=json", path))
            ours = json.loads(self.disk("info", "--json", path)[0])
            self.assertEqual(ours["virtualSize"], theirs["virtual-size"])
            self.assertEqual(ours["clusterSize"], theirs["cluster-size"])
            self.assertEqual(ours["actualSize"], theirs["actual-size"])
        self.disk("create", path, "1G", status=2)

    def test_convert_both_ways(self):
        raw = self.raw("raw")
        self.disk("convert", raw, self.path("a.qcow2"))
        qemu_img("check", self.path("a.qcow2"))
        qemu_img("compare", raw, self.path("a.qcow2"))
        qemu_img("convert", "-c", "-O", "qcow2", raw, self.path("b.qcow2"))
        self.disk("convert", "-f", "raw", self.path("b.qcow2"), self.path("b.raw"))
        with open(raw, "rb") as one, open(self.path("b.raw"), "rb") as other:
            self.assertTrue(one.read() == other.read())
        self.assertLess(os.stat(self.path("b.raw")).st_blocks, 8 * MEBIBYTE // 512)

    def test_a_backing_file_stays_as_it_is(self):
        raw = self.raw("base.raw")
        self.disk("create", "--backing", "base.raw", self.path("top.qcow2"))
        info = json.loads(qemu_img("info", "--output=json", self.path("top.qcow2")))
        self.assertEqual(info["backing-filename"], "base.raw")
        self.assertEqual(info["backing-filename-format"], "raw")
        qemu_img("compare", "-F", "raw", self.path("top.qcow2"), raw)

    def test_resize(self):
        raw = self.raw("raw")
        for name, cluster in (("small", 512), ("usual", 65536)):
            path = self.path(name)
            qemu_img("convert", "-O", "qcow2", "-o", f"cluster_size={cluster}", raw, path)
            self.disk("resize", path, "200M")
            qemu_img("check", path)
            _, errors = self.disk("resize", path, "4M", status=2)
            self.assertIn("--shrink", errors)
            self.disk("resize", "--shrink", path, "4M")
            self.disk("resize", path, "+4M")
            qemu_img("check", path)
            expected = self.path("expected")
            shutil.copy(raw, expected)
            os.truncate(expected, 4 * MEBIBYTE)
            os.truncate(expected, 8 * MEBIBYTE)
            qemu_img("compare", "-F", "raw", path, expected)

    def test_growing_shows_nothing_of_the_backing_file(self):
        self.raw("base.raw")
        path = self.path("top")
        qemu_img("create", "-f", "qcow2", "-b", "base.raw", "-F", "raw", path, "2M")
        self.disk("resize", path, "8M")
        expected = self.path("expected")
        shutil.copy(self.path("base.raw"), expected)
        os.truncate(expected, 2 * MEBIBYTE)
        os.truncate(expected, 8 * MEBIBYTE)
        qemu_img("compare", "-F", "raw", path, expected)

    def test_check_agrees_with_qemu(self):
        path = self.path("disk")
        qemu_img("convert", "-c", "-O", "qcow2", self.raw("raw"), path)
        qemu_img("snapshot", "-c", "one", path)
        theirs = json.loads(qemu_img("check", "--output=json", path))
        ours = json.loads(self.disk("check", "--json", path)[0])
        self.assertEqual(ours["totalClusters"], theirs["total-clusters"])
        self.assertEqual(ours["allocatedClusters"], theirs["allocated-clusters"])
        self.assertEqual(ours["compressedClusters"], theirs["compressed-clusters"])
        self.assertEqual(ours["fragmentedClusters"], theirs["fragmented-clusters"])
        self.assertEqual(ours["imageEnd"], theirs["image-end-offset"])
        self.assertEqual((ours["leaks"], ours["corruptions"]), (0, 0))

    def test_repair_is_what_qemu_calls_sound(self):
        path = self.path("disk")
        qemu_img("convert", "-O", "qcow2", self.raw("raw"), path)
        with open(path, "r+b") as file:
            file.seek(48)
            table = int.from_bytes(file.read(8), "big")
            file.seek(table)
            block = int.from_bytes(file.read(8), "big")
            file.seek(block + 2 * 8)
            file.write(bytes([0, 0, 0, 7]))
        theirs = json.loads(qemu_img("check", "--output=json", path, status=2))
        ours = json.loads(self.disk("check", "--json", path, status=1)[0])
        self.assertEqual(ours["corruptions"], theirs["corruptions"])
        self.assertEqual(ours["leaks"], theirs["leaks"])
        self.disk("check", "--repair", path)
        qemu_img("check", path)

    def test_an_image_that_was_not_closed_is_repaired_before_it_is_written(self):
        path = self.path("disk")
        qemu_img("convert", "-O", "qcow2", "-o", "lazy_refcounts=on", self.raw("raw"), path)
        with open(path, "r+b") as file:
            file.seek(48)
            file.seek(int.from_bytes(file.read(8), "big"))
            file.seek(int.from_bytes(file.read(8), "big") + 2 * 8)
            file.write(bytes(64))  # clusters that are used are not counted
            file.seek(79)
            file.write(b"\x01")  # the dirty bit
        self.assertTrue(json.loads(self.disk("info", "--json", path)[0])["isDirty"])
        self.disk("resize", path, "16M")
        self.assertFalse(json.loads(self.disk("info", "--json", path)[0])["isDirty"])
        qemu_img("check", path)

    def test_bitmaps_are_not_taken_for_lost_space(self):
        path = self.path("disk")
        qemu_img("create", "-f", "qcow2", path, "64M")
        qemu_img("bitmap", "--add", path, "changes")
        _, errors = self.disk("check", path, status=2)
        self.assertIn("has bitmaps", errors)
        qemu_img("check", path)

    def test_a_disk_in_use_is_neither_changed_nor_copied(self):
        path = self.path("disk")
        qemu_img("create", "-f", "qcow2", path, "64M")
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for words in (["resize", path, "1G"], ["check", path], ["convert", path, path + "2"]):
                _, errors = self.disk(*words, status=2)
                self.assertIn(f"process {os.getpid()}", errors)
            self.disk("info", path)

    def test_wrong_words_are_named(self):
        for word, part in (
                ("x,format=vmdk", "'vmdk' is no format"), ("x,cache=slow", "'slow' is no cache"),
                ("x,rw", "'rw' is no option"), ("x,serial", "'serial' needs a value"),
                (",ro", "a disk begins with its file")):
            status, _, errors = self.apus("run", "--disk", word, "--", "true")
            self.assertEqual(status, 2)
            self.assertIn(part, errors)


class Guests(DiskTest):
    """Guests with Debian's driver for virtio disks."""

    MODULES = [
        "drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_mmio",
        "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci_legacy_dev",
        "drivers/virtio/virtio_pci", "drivers/block/virtio_blk"]

    def initrd(self, script):
        """A guest that has its disks and runs a script."""
        version = os.path.basename(kernel("cloud")).removeprefix("vmlinuz-")
        found = glob.glob(os.path.join(cache(), f"modules-{version}", "**", "kernel"), recursive=True)
        if not found or not os.path.exists("/bin/busybox"):
            raise unittest.SkipTest("no modules of the kernel, or no busybox")
        with open("/bin/busybox", "rb") as file:
            busybox = file.read()
        members = [(name, initrd.DIRECTORY) for name in ("dev", "proc", "sys", "bin", "m")]
        members += [
            ("dev/console", initrd.DEVICE, b"", (5, 1)), ("bin/busybox", initrd.FILE, busybox)]
        lines = ["#!/bin/busybox sh", "busybox mount -t devtmpfs d /dev",
                 "busybox mount -t proc p /proc", "busybox mount -t sysfs s /sys"]
        for module in self.MODULES:
            name = os.path.basename(module) + ".ko"
            with open(os.path.join(found[0], module + ".ko"), "rb") as file:
                members.append((f"m/{name}", initrd.FILE, file.read()))
            lines.append(f"busybox insmod /m/{name}")
        lines += [script, "busybox poweroff -f"]
        members.append(("init", initrd.FILE, "\n".join(lines).encode() + b"\n"))
        with open(self.path("initrd"), "wb") as file:
            file.write(initrd.archive(members))
        return self.path("initrd")

    def boot(self, script, *options):
        return self.apus(
            "run", "--kernel", kernel("cloud"), "--initrd", self.initrd(script), "-v", *options)

    def test_a_guest_writes_a_qcow2_image(self):
        for machine in ("micro", "pc"):
            with self.subTest(machine):
                raw = self.raw("base.raw")
                top = self.path(f"{machine}.qcow2")
                self.disk("create", "--backing", "base.raw", top)
                status, output, errors = self.boot(
                    "busybox dd if=/dev/vda of=/dev/vda bs=4096 count=256 seek=1024 conv=fsync\n"
                    "busybox sha256sum /dev/vda", "-M", machine, "--disk", top)
                self.assertEqual(status, 0, errors)
                qemu_img("check", top)
                with open(raw, "r+b") as file:
                    head = file.read(MEBIBYTE)
                with open(self.path("expected"), "wb") as file, open(raw, "rb") as base:
                    file.write(base.read())
                    file.seek(4 * MEBIBYTE)
                    file.write(head)
                qemu_img("compare", "-F", "raw", top, self.path("expected"))
                hashed = subprocess.run(
                    ["sha256sum", self.path("expected")], capture_output=True, text=True, check=True)
                self.assertIn(hashed.stdout.split()[0], output)

    # Files that come and go, as fast as the guest can.
    RESTLESS = """busybox mkdir /mnt; busybox mount -t ext4 -o discard /dev/vda /mnt && echo writing
i=0
while :; do
  i=$((i + 1))
  busybox dd if=/dev/urandom of=/mnt/$((i % 40)) bs=4k count=$((RANDOM % 200)) 2>/dev/null
  [ $((i % 5)) = 0 ] && busybox sync
  [ $((i % 7)) = 0 ] && busybox rm -f /mnt/$((RANDOM % 40))
done"""

    def test_a_killed_monitor_leaves_a_sound_file_system(self):
        if shutil.which("mkfs.ext4") is None:
            raise unittest.SkipTest("no mkfs.ext4: install e2fsprogs")
        source = random.Random()
        empty, top = self.path("empty"), self.path("top.qcow2")
        with open(empty, "wb") as file:
            file.truncate(128 * MEBIBYTE)
        subprocess.run(["mkfs.ext4", "-q", empty], check=True)
        for number in range(int(os.environ.get("APUS_KILLS", "3"))):
            qemu_img("convert", "-O", "qcow2", "-o", "cluster_size=4096", empty, top)
            size = os.stat(top).st_size
            process = self.start(
                "run", "--kernel", kernel("cloud"), "--initrd", self.initrd(self.RESTLESS), "-v",
                "--disk", top)
            while line := process.stdout.readline():
                if b"writing" in line:
                    break
            with self.subTest(number), self.assertRaises(subprocess.TimeoutExpired):
                process.wait(timeout=source.uniform(0.5, 4))
            process.kill()
            process.wait(timeout=60)
            self.assertGreater(os.stat(top).st_size, size, "the guest has written nothing")
            check = subprocess.run(["qemu-img", "check", top], capture_output=True, check=False)
            # Lost space (3) is no damage.
            self.assertIn(check.returncode, (0, 3), check.stdout)
            raw = self.path(f"{number}.raw")
            qemu_img("convert", "-O", "raw", top, raw)
            # The first replays the journal, as the next boot would; 1 says that it has.
            replay = subprocess.run(["e2fsck", "-p", raw], capture_output=True, check=False)
            self.assertIn(replay.returncode, (0, 1), replay.stdout)
            check = subprocess.run(["e2fsck", "-fn", raw], capture_output=True, check=False)
            self.assertEqual(check.returncode, 0, check.stdout)
            os.remove(raw)

    def test_two_guests_do_not_share_a_disk(self):
        path = self.raw("disk")
        script = "echo waiting\nwhile :; do busybox sleep 1; done"
        process = self.start(
            "run", "--kernel", kernel("cloud"), "--initrd", self.initrd(script), "-v", "--disk", path)
        while line := process.stdout.readline():
            if b"waiting" in line:
                break
        status, _, errors = self.boot("true", "--disk", path)
        self.assertEqual(status, 2)
        self.assertIn(f"in use by apus (process {process.pid})", errors)
        self.assertEqual(self.boot("true", "--ephemeral", "--disk", path)[0], 2)
