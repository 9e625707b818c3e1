"""What `apus run --profile` says."""

import json
import os
import tempfile

from support import ApusTest, kernel


class Profiles(ApusTest):
    def profile(self, *options, command=("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=20000")):
        return self.apus("run", "--accel", "soft", "--kernel", kernel("cloud"), "--profile", *options,
                         "--", *command)

    def test_text_has_all_parts(self):
        status, _, errors = self.profile()
        self.assertEqual(status, 0)
        for part in ("translated code", "Helper calls", "System instructions", "Exits",
                     "Translation: "):
            self.assertIn(part, errors)

    def test_figures_are_of_the_run(self):
        status, _, errors = self.profile("--json")
        self.assertEqual(status, 0)
        found = json.loads(errors[errors.index("{\n"):])
        calls = {each["name"]: each["count"] for each in found["systemInstructions"]}
        # dd reads and writes a byte at a time.
        self.assertGreater(calls["systemCall"], 40000)
        self.assertGreater(found["translation"]["guestInstructions"], 10000)
        self.assertGreater(found["samples"], 0)
        self.assertGreater(sum(each["count"] for each in found["exits"]), 0)

    def test_functions_have_names(self):
        with tempfile.NamedTemporaryFile("w", suffix=".map") as file:
            file.write("ffffffff81000000 T whole_kernel\nffffffff810fffff t its_rest\n")
            file.flush()
            status, _, errors = self.profile("--symbols", file.name, "--json")
        self.assertEqual(status, 0)
        names = {each["name"] for each in json.loads(errors[errors.index("{\n"):])["functions"]}
        self.assertTrue(names & {"whole_kernel", "its_rest"}, names)

    def test_a_file_of_symbols_must_be_one(self):
        status, _, errors = self.apus(
            "run", "--kernel", kernel("cloud"), "--profile", "--symbols", "/dev/null", "--", "true")
        self.assertNotEqual(status, 0)
        self.assertIn("/dev/null", errors)

    def test_map_for_perf(self):
        before = {name for name in os.listdir("/tmp") if name.startswith("perf-")}
        status, _, _ = self.apus(
            "run", "--accel", "soft", "--kernel", kernel("cloud"), "--perf-map", "--", "true")
        self.assertEqual(status, 0)
        made = {name for name in os.listdir("/tmp") if name.startswith("perf-")} - before
        self.assertTrue(made)
        for name in made:
            path = os.path.join("/tmp", name)
            with open(path, encoding="ascii") as file:
                start, size, _ = file.readline().split()
            os.unlink(path)
            self.assertGreater(int(start, 16) * int(size, 16), 0)
