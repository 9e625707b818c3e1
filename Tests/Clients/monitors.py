"""Apus itself as a program that speaks KVM: on the kernel's interface, which is its own engine."""

import os
import subprocess
import unittest

from qemu import ENGINE, PREFIX
from support import APUS, ApusTest, kernel


@unittest.skipUnless(ENGINE == "apus", "the other engines do not run Apus")
class Monitors(ApusTest):
    def guest(self, *command, options=()):
        """Runs a command in a guest; its exit status, output and errors."""
        process = subprocess.Popen(
            [*PREFIX, APUS, "run", "--accel", "kvm", "--kernel", kernel("cloud"), *options,
             "--", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, env=dict(os.environ, TMPDIR=self.folder))
        self.addCleanup(self.stop, process)
        return self.finish(process)

    def test_linux(self):
        status, output, errors = self.guest("sh", "-c", "uname -r; exit 42")
        self.assertEqual((status, errors), (42, ""))
        self.assertIn(output.strip(), os.path.basename(kernel("cloud")))

    def test_several_processors(self):
        status, output, errors = self.guest("nproc", options=["-c", "4"])
        self.assertEqual((status, output, errors), (0, "4\n", ""))
