"""Boots one kernel under QEMU, and again behind a case that ended it, until each case of the plan has its result."""

import json
import os
import re
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from kernels import image
from kernels.archive import BLOCK
from kernels.settings import Setting
from kernels.system import System

MEMORY = 1536  # MiB; the largest case, 10,000 sockets, takes a third of it
SECONDS_PER_CASE = 60  # the slowest case takes a quarter of it in a guest that has two processors to itself
SECONDS_OF_SILENCE = 120  # longer than a boot or a case
# Boots that end without a result more than the one before: the kernel itself does not work then.
BOOTS_WITHOUT_PROGRESS = 2
ACCELERATOR = ["-accel", "tcg,thread=multi"]
# Mitigations cost time and show nothing, and the watchdogs take a processor that QEMU got late for a dead one.
ARGUMENTS = ("loglevel=5 panic=-1 oops=panic mitigations=off nowatchdog random.trust_cpu=on "
             "rcupdate.rcu_cpu_stall_suppress=1")


@dataclass
class Result:
    suite: str
    case: str
    result: str  # passed, failed, skipped, hung
    text: str = ""
    seconds: float = 0


@dataclass
class Run:
    """The result of one kernel with one setting."""
    kernel: str
    setting: Setting
    release: str = ""  # the booted kernel's own version text
    results: list[Result] = field(default_factory=list)
    seconds: float = 0
    boots: int = 0
    refusal: str = ""  # why it could not be run


class Guest:
    def __init__(self, kernel, setting, suites, files, system=System(), patience=1.0):
        """`suites`: {name: {"program": path, "cases": [name]}}; `files`: what is packed beside the programs; `system`:
        what they are linked with.
        """
        self.kernel = kernel
        self.setting = setting
        self.suites = suites
        self.files = files
        self.system = system
        self.patience = patience
        self.given_up = threading.Event()

    def give_up(self):
        """Called by another thread: ends the guest, and boots no other."""
        self.given_up.set()

    def run(self):
        run = Run(self.kernel.version, self.setting)
        started = time.monotonic()
        try:
            self.run_to_the_end(run)
        except (OSError, subprocess.SubprocessError) as error:
            run.refusal = f"the guest cannot be made: {error}"
        run.seconds = time.monotonic() - started
        return run

    def run_to_the_end(self, run):
        in_vain = 0
        while (left := self.left(run)) and not self.given_up.is_set():
            before = len(run.results)
            console = self.boot(run, left)
            if self.left(run) and not run.release:
                in_vain += 1
                if in_vain == BOOTS_WITHOUT_PROGRESS:
                    run.refusal = "the kernel does not boot; its last words:\n" + console
                    break
            elif self.left(run):
                in_vain = in_vain + 1 if len(run.results) == before else 1
                # A kernel that QEMU ended by an error of its own does not fail twice at one case.
                if in_vain == BOOTS_WITHOUT_PROGRESS:
                    suite = self.left(run)[0]
                    run.results.append(Result(suite["name"], suite["cases"][0], "failed",
                                              "the kernel ended in this case; its last words:\n" + console))
                    in_vain = 0

    def left(self, run):
        """The cases that have no result yet, as guest.py takes them."""
        done = {(result.suite, result.case) for result in run.results}
        rest = []
        for name, suite in self.suites.items():
            cases = [case for case in suite["cases"] if (name, case) not in done]
            if cases:
                rest.append({"name": name, "program": suite["program"], "cases": cases})
        return rest

    def boot(self, run, suites):
        """Runs the remaining cases; returns the last lines of the kernel's log."""
        run.boots += 1
        plan = {"suites": suites, "sysctls": self.setting.sysctls, "user": self.setting.user,
                "memlock": self.setting.memlock, "results": self.kernel.processor.results,
                "seconds_per_case": self.patience * SECONDS_PER_CASE}
        programs = [suite["program"] for suite in suites] + self.files
        with tempfile.TemporaryDirectory(prefix="uring6-kernel-") as scratch:
            scratch = Path(scratch)
            own = image.written(image.program_archive(programs, plan, self.system), scratch / "programs.cpio")
            initramfs = scratch / "initramfs"
            with open(initramfs, "wb") as file:
                for part in (own, image.modules_file(self.kernel)):
                    file.write(part.read_bytes())
                    file.write(bytes(-file.tell() % BLOCK))
            own.unlink()
            self.run_qemu(scratch, initramfs)
            self.read_results(run, scratch / "results")
            return "\n".join((scratch / "console").read_text(errors="replace").splitlines()[-40:])

    def run_qemu(self, scratch, initramfs):
        processor = self.kernel.processor
        command = [*processor.qemu, *ACCELERATOR, "-smp", str(self.setting.processors), "-m", str(MEMORY),
                   "-kernel", self.kernel.image, "-initrd", initramfs, "-nographic", "-no-reboot",
                   "-nodefaults", "-monitor", "none", "-serial", f"file:{scratch / 'console'}",
                   "-chardev", f"file,id=results,path={scratch / 'results'}", *processor.second_line,
                   "-append", f"{processor.arguments} {ARGUMENTS} {self.setting.arguments}".strip()]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            self.watch(process, scratch / "results")
        finally:
            process.kill()
            process.wait()

    def watch(self, process, results):
        """Waits for the guest's end; ends a guest that reports nothing for longer than a case may take."""
        size = 0
        limit = SECONDS_OF_SILENCE * self.patience
        until = time.monotonic() + limit
        while process.poll() is None and time.monotonic() < until and not self.given_up.wait(0.2):
            now = results.stat().st_size if results.exists() else 0
            if now != size:
                size = now
                until = time.monotonic() + limit

    @staticmethod
    def read_results(run, path):
        if not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue  # the end of a kernel may cut a line
            if "case" in told:
                run.results.append(Result(**told))
            elif "booted" in told:
                own = re.search(r"Debian (\S+)", told["built"])
                run.release = f"{told['booted']} ({own[1]})" if own else told["booted"]


def patience():
    """A factor on time limits: how many programs want each of this machine's processors, up to 3."""
    return min(3.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
