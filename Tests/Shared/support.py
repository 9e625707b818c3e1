"""Runs the built program under limits, and looks at what it leaves behind."""

import functools
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The variable names another build to test.
APUS = os.environ.get("APUS") or os.path.join(ROOT, ".build", "release", "apus")
# A boot takes a second or two; a slow machine that does other work as well gets many times that.
LIMIT = 120

FLAVOURS = {
    "cloud": "vmlinuz-*-cloud-amd64", "generic": "vmlinuz-*[0-9]-amd64",
    "686": "i386/vmlinuz-*[0-9]-686", "686-pae": "i386/vmlinuz-*-686-pae",
}


def cache():
    """Where tools/fetch-kernel puts kernels, and tests what is costly to make."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ["HOME"], ".cache")
    return os.path.join(base, "apus")


@functools.cache
def kernel(flavour):
    """The path of Debian's kernel of a flavour, fetched if need be."""
    fetch = subprocess.run(
        [os.path.join(ROOT, "tools", "fetch-kernel"), flavour], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False)
    found = sorted(glob.glob(os.path.join(cache(), FLAVOURS[flavour])))
    if not found:
        raise unittest.SkipTest(f"no {flavour} kernel can be fetched: {fetch.stderr.strip()}")
    return found[-1]


def session_members(session):
    """Processes of a session, as (identifier, name)."""
    members = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split()
        if int(fields[3]) == session and fields[0] != "Z":
            members.append((int(path.split("/")[2]), text[text.index("(") + 1:text.rindex(")")]))
    return members


class ApusTest(unittest.TestCase):
    """A test that runs apus in a session, and with a temporary directory, of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="apus-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, *arguments, **streams):
        environment = dict(os.environ, TMPDIR=self.folder)
        streams.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(
            [APUS, *arguments], env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **streams)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def finish(self, process, given=None):
        """Waits for the end; checks that nothing is left behind."""
        output, errors = process.communicate(given, timeout=LIMIT)
        self.assertEqual(session_members(process.pid), [], "processes are left behind")
        self.assertEqual(os.listdir(self.folder), [], "files are left behind")
        self.assertGreaterEqual(process.returncode, 0, f"killed by a signal: {errors}")
        return process.returncode, output.decode(), errors.decode()

    def apus(self, *arguments, given=None):
        """Runs apus to its end; its exit status, output and errors."""
        streams = {} if given is None else {"stdin": subprocess.PIPE}
        return self.finish(self.start(*arguments, **streams), given)

    def guest(self, *command, options=(), given=None, flavour="cloud"):
        """Runs a command in a guest."""
        return self.apus("run", "--kernel", kernel(flavour), *options, "--", *command, given=given)
