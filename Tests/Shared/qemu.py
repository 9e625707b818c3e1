"""Starts QEMU on an engine of choice, and talks to its serial line and its monitor."""

import json
import os
import re
import select
import socket
import subprocess
import time

from support import APUS, ApusTest, session_members

ENGINE = os.environ.get("APUS_CLIENTS", "apus")
ACCELERATOR = {"apus": "kvm", "native": "kvm", "tcg": "tcg"}[ENGINE]
PREFIX = [APUS, "kvm", "--"] if ENGINE == "apus" else []
# For one step of a test: QEMU's own engine on a busy machine needs most of it.
LIMIT = 240 if ENGINE == "tcg" else 120


class Qemu:
    """A running QEMU; its console is what the guest wrote to the first serial port so far."""

    def __init__(self, folder, machine, *options):
        self.folder, self.console, self.position = folder, b"", 0
        self.monitor_path = os.path.join(folder, "monitor")
        self.errors = open(os.path.join(folder, "errors"), "w+b")
        self.process = subprocess.Popen(
            [*PREFIX, "qemu-system-x86_64", "-M", machine, "-accel", ACCELERATOR,
             "-display", "none", "-net", "none", "-monitor", "none", "-serial", "stdio",
             "-qmp", f"unix:{self.monitor_path},server=on,wait=off", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            start_new_session=True, env=dict(os.environ, TMPDIR=folder))
        self.link = self.monitor = None

    def read(self, seconds):
        """Takes what the guest writes within some seconds; false at the end of the line."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, seconds))
        chunk = os.read(self.process.stdout.fileno(), 65536) if ready else None
        self.console += chunk or b""
        return chunk != b""

    def expect(self, pattern, limit=LIMIT):
        """Waits until the guest has written what matches, after the last match; returns it."""
        pattern, end = re.compile(pattern.encode(), re.MULTILINE), time.monotonic() + limit
        while True:
            match = pattern.search(self.console, self.position)
            if match:
                self.position = match.end()
                return match
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {pattern.pattern} in {limit} s; {self.story()}")
            if not self.read(left):
                self.process.wait(timeout=LIMIT)
                raise AssertionError(
                    f"ended with {self.process.returncode} before {pattern.pattern}; "
                    f"{self.story()}")

    def type(self, text):
        """Types on the serial line."""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def run(self, command, limit=LIMIT):
        """Runs a command in the guest's shell, which waits; its status and output."""
        self.position = len(self.console)
        self.type(f"{command}; echo \"<$?>\"\n")
        match = self.expect(r"<\$\?>\S*\s*\n((?:.*\n)*?.*)<(\d+)>", limit)
        self.expect("> ", limit)
        return int(match[2]), match[1].decode(errors="replace").replace("\r", "")

    def command(self, name, **arguments):
        """Asks QEMU's monitor (QMP); what it returns."""
        if self.monitor is None:
            self.connect()
            self.command("qmp_capabilities")
        request = json.dumps({"execute": name, "arguments": arguments})
        self.link.sendall(request.encode() + b"\n")
        while True:
            try:
                line = self.monitor.readline()
            except ConnectionError:
                line = b""
            if not line:
                raise AssertionError(f"QEMU ended at {name}; {self.story()}")
            answer = json.loads(line)
            if "error" in answer:
                raise AssertionError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def connect(self):
        """Opens the line to the monitor, which QEMU listens on soon after its start."""
        self.link, end = socket.socket(socket.AF_UNIX), time.monotonic() + LIMIT
        self.link.settimeout(LIMIT)
        while True:
            try:
                self.link.connect(self.monitor_path)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"QEMU does not listen; {self.story()}") from None
                time.sleep(0.1)
        self.monitor = self.link.makefile("rb")
        self.monitor.readline()

    def screen(self):
        """The lines of the text screen, which is at 0xb8000 in the modes that have one."""
        path = os.path.join(self.folder, "screen")
        self.command("pmemsave", val=0xb8000, size=80 * 25 * 2, filename=path)
        with open(path, "rb") as file:
            text = file.read()[::2].decode("cp437").replace("\0", " ")
        return [text[index:index + 80].rstrip() for index in range(0, 80 * 25, 80)]

    def expect_screen(self, pattern, limit=LIMIT):
        """Waits until a line of the text screen matches; returns the screen."""
        end = time.monotonic() + limit
        while True:
            self.read(0)
            text = "\n".join(self.screen())
            if re.search(pattern, text):
                return text
            if time.monotonic() > end:
                raise AssertionError(
                    f"no {pattern!r} in {limit} s on the screen:\n{text}\n{self.story()}")
            time.sleep(1)

    def press(self, *keys):
        """Presses keys of the machine's keyboard, by QEMU's names for them."""
        for key in keys:
            self.command("send-key", keys=[{"type": "qcode", "data": key}])
            time.sleep(0.2)

    def end(self, limit=LIMIT):
        """Waits until QEMU ends by itself; its exit status."""
        deadline = time.monotonic() + limit
        while self.read(deadline - time.monotonic()):
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {limit} s; {self.story()}")
        return self.process.wait(timeout=10)

    def story(self):
        """The end of the console and QEMU's messages, for a report."""
        self.errors.seek(0)
        end = self.console[-1500:].decode(errors="replace").replace("\r", "")
        messages = self.errors.read()[-1500:].decode(errors="replace")
        return f"the console ends:\n{end}\n--- QEMU says:\n{messages}"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.errors.close()
        for line in (self.monitor, self.link):
            if line:
                line.close()


class QemuTest(ApusTest):
    def qemu(self, machine, *options):
        """Starts a QEMU that ends with the test."""
        machine = Qemu(self.folder, machine, *options)
        self.addCleanup(machine.stop)
        return machine

    def power_off(self, machine, command="poweroff -f"):
        """Lets the guest switch itself off; checks that nothing is left behind."""
        machine.type(command + "\n")
        status = machine.end()
        self.assertEqual(status, 0, machine.story())
        self.assertEqual(session_members(machine.process.pid), [], "processes are left behind")
