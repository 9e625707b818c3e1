"""Guests that have files of the host's."""

import os
import tempfile

from support import ApusTest


class Shares(ApusTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.shared = folder.name
        with open(os.path.join(self.shared, "greeting"), "w", encoding="utf-8") as file:
            file.write("hello\n")

    def on_host(self, script, *options):
        return self.guest("sh", "-c", script, options=["--root", "host", *options])

    def test_host_files(self):
        for model in ("micro", "pc"):
            with self.subTest(model):
                status, output, errors = self.on_host(
                    f"cat {self.shared}/greeting; pwd; id -u; exit 7", "--machine", model)
                self.assertEqual((status, errors), (7, ""))
                self.assertEqual(output, f"hello\n{os.getcwd()}\n{os.getuid()}\n")

    def test_changes_are_lost(self):
        status, output, errors = self.on_host(
            f"cd {self.shared}; echo changed > greeting; rm -f other; echo new > new; cat greeting")
        self.assertEqual((status, output, errors), (0, "changed\n", ""))
        self.assertEqual(os.listdir(self.shared), ["greeting"])
        with open(os.path.join(self.shared, "greeting"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "hello\n")

    def test_writable_directory(self):
        status, _, errors = self.on_host(
            f"cd {self.shared}; mkdir made; echo changed > made/file; mv greeting made; sync",
            "--rw", self.shared)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(sorted(os.listdir(os.path.join(self.shared, "made"))),
                         ["file", "greeting"])
        owner = os.stat(os.path.join(self.shared, "made", "file"))
        self.assertEqual((owner.st_uid, owner.st_gid), (os.getuid(), os.getgid()))

    def test_mounted_directory(self):
        status, output, errors = self.guest(
            "sh", "-c", "cat /mnt/greeting; echo no > /mnt/greeting",
            options=["--share", f"{self.shared}:/mnt:ro"])
        self.assertEqual((status, output), (1, "hello\n"))
        self.assertIn("Read-only file system", errors)

    def test_no_such_directory(self):
        status, output, errors = self.guest("true", options=["--share", "/nowhere:/mnt"])
        self.assertEqual((status, output), (2, ""))
        self.assertIn("/nowhere cannot be shared: No such file or directory", errors)
