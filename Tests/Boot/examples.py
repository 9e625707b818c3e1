"""The programs in examples: each guest prints its line and leaves 42 behind, on every back end."""

import json
import os
import subprocess

from bare import BareTest
from support import APUS

HELLO = {
    "hello-real": "real-mode", "hello-protected": "protected-mode", "hello-paged": "paging-32",
    "hello-long": "long-mode"}


class Examples(BareTest):
    def example(self, name, *arguments):
        result = subprocess.run(
            [os.path.join(os.path.dirname(APUS), name), *arguments], capture_output=True, text=True,
            timeout=60, stdin=subprocess.DEVNULL, check=False)
        return result.returncode, result.stdout, result.stderr

    def abilities(self):
        """What the host's KVM can do, by the names of apus probe."""
        _, output, _ = self.apus("probe", "--json")
        return {check["name"]: check for check in json.loads(output)["kernel"]["checks"]}

    def test_software_engine(self):
        for name in HELLO:
            for accelerator in ("soft", "auto"):
                with self.subTest(name, accelerator=accelerator):
                    self.assertEqual(
                        self.example(name, "--accel", accelerator), (0, "Hello, world!\n", ""))

    def test_kernel(self):
        abilities = self.abilities()
        for name, ability in HELLO.items():
            with self.subTest(name):
                check = abilities.get(ability)
                status, output, errors = self.example(name, "--accel", "kvm")
                if check and check["passed"]:
                    self.assertEqual((status, output, errors), (0, "Hello, world!\n", ""))
                else:
                    self.assertEqual(status, 1, "it fails, and says why")
                    self.assertNotEqual(errors, "")

    def test_thin_machine(self):
        guest = self.compile("thin/rng.c", "-m32")
        status, output, errors = self.example("thin-machine", "--accel", "soft", "--guest", guest)
        self.assertEqual(status, 0, errors)
        self.assertRegex(output, r"random bytes:( [0-9a-f]{2}){32}\n$")

    def test_mistakes(self):
        for arguments, mention in [
                (["hello-real", "--accel", "warp"], "warp"), (["thin-machine"], "--guest")]:
            with self.subTest(arguments):
                status, _, errors = self.example(*arguments)
                self.assertEqual(status, 1)
                self.assertIn(mention, errors)
