"""What apus refuses: one sentence, exit status 2, nothing left behind."""

import os
import shutil
import subprocess

from support import APUS, ApusTest

MISTAKES = {
    "an unknown option": (["run", "--frobnicate"], "--frobnicate"),
    "an unknown command": (["frobnicate"], "frobnicate"),
    "a command without --": (["run", "uname"], "uname"),
    "an empty command": (["run", "--", ""], "empty"),
    "no value for an option": (["run", "--kernel"], "--kernel"),
    "a kernel that is not there": (["run", "--kernel", "/nonexistent"], "/nonexistent"),
    "a directory as kernel": (["run", "--kernel", "/usr"], "directory"),
    "a device as kernel": (["run", "--kernel", "/dev/zero"], "device"),
    "a text as kernel": (["run", "--kernel", "/etc/passwd"], "not a kernel but a text"),
    "a program as kernel": (["run", "--kernel", "/bin/true"], "not a kernel but"),
    "an initial RAM disk that is not there": (["run", "--initrd", "/nonexistent"], "/nonexistent"),
    "a command with a foreign initial RAM disk": (
        ["run", "--initrd", "/etc/passwd", "--", "true"], "--initrd"),
    "too little memory": (["run", "-m", "4M"], "-m"),
    "no memory": (["run", "-m", "0"], "-m"),
    "memory that is no number": (["run", "-m", "lots"], "lots"),
    "negative memory": (["run", "-m=-5M"], "-5M"),
    "half a page of memory": (["run", "-m", "65537K"], "4K"),
    "more memory than can be": (["run", "-m", "9000T"], "9000T"),
    "memory beyond counting": (["run", "-m", "99999999999999999999999"], "9999"),
    "no processors": (["run", "-c", "0"], "processor"),
    "too many processors": (["run", "-c", "255"], "254 processors"),
    "a number of processors that is none": (["run", "-c", "two"], "two"),
    "KVM, which is not built yet or not usable": (["run", "--accel", "kvm"], "--accel"),
    "an unknown accelerator": (["run", "--accel", "warp"], "warp"),
}


class Mistakes(ApusTest):
    def test_mistakes(self):
        for name, (arguments, mention) in MISTAKES.items():
            with self.subTest(name):
                status, output, errors = self.apus(*arguments)
                self.assertEqual(status, 2, errors)
                self.assertEqual(output, "")
                self.assertTrue(errors.startswith("apus: "), errors)
                self.assertEqual(errors.count("\n"), 1, f"not one line: {errors}")
                self.assertIn(mention, errors)

    def test_unreadable_kernel(self):
        path = os.path.join(self.folder, "kernel")
        with open(path, "wb"):
            os.chmod(path, 0)
        program, identity = APUS, {}
        if os.geteuid() == 0:
            # Root may read everything; be somebody else, who needs a way to the program.
            os.chmod(self.folder, 0o755)
            program = shutil.copy(APUS, self.folder)
            identity = {"user": 65534, "group": 65534}
        result = subprocess.run(
            [program, "run", "--kernel", path], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, **identity)
        self.assertEqual(result.returncode, 2)
        self.assertIn("may not be read", result.stderr)

    def test_empty_kernel(self):
        path = os.path.join(self.folder, "kernel")
        with open(path, "wb"):
            pass
        process = self.start("run", "--kernel", path)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"empty file", errors)


class Answers(ApusTest):
    def test_version(self):
        status, output, errors = self.apus("--version")
        self.assertEqual((status, errors), (0, ""))
        self.assertRegex(output, r"^apus \d+\.\d+\.\d+\n$")

    def test_help(self):
        for arguments in (["--help"], ["run", "--help"], ["help", "run"]):
            status, output, errors = self.apus(*arguments)
            self.assertEqual((status, errors), (0, ""))
            self.assertIn("USAGE", output)
