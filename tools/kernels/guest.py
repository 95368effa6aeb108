"""The guest's first process: mounts the usual file systems, runs the plan's programs case by case, writes each result to
a serial line of its own as a line of JSON, and switches the machine off.

The guest's Python has only the modules that this file imports (image.py).
"""

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import time

MODULES = ["veth", "tun", "dummy", "ifb", "sch_tbf", "tcp_diag", "udp_diag", "ip6table_filter"]
MOUNTS = [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("devpts", "/dev/pts"), ("tmpfs", "/dev/shm"),
          ("tmpfs", "/run"), ("tmpfs", "/tmp")]
# systemd's defaults for a process: soft and hard limit of open files.
OPEN_FILES = (1024, 524288)
CATCH2_ALL_SKIPPED = 4  # the exit status of a program that skipped every case
KEPT_OF_STDERR = 4000  # octets
SCRATCH = "/run"


def tell(line, **what):
    line.write(json.dumps(what).encode() + b"\n")
    line.flush()


def prepare_system(plan):
    for kind, at in MOUNTS:
        os.makedirs(at, exist_ok=True)
        subprocess.run(["mount", "-t", kind, kind, at], stderr=subprocess.DEVNULL)
    os.chmod("/tmp", 0o1777)
    resource.setrlimit(resource.RLIMIT_NOFILE, OPEN_FILES)
    os.symlink("/proc/self/fd", "/dev/fd")
    for module in MODULES:
        subprocess.run(["modprobe", "-q", module], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "set", "lo", "up"])
    for name, value in plan["sysctls"].items():
        with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
            file.write(value)


class Program:
    """A program of cases (tests/support/case/case_reporter.cpp) that is started again behind each case that ends it."""

    def __init__(self, plan, suite, line):
        self.plan = plan
        self.suite = suite
        self.line = line
        self.left = list(suite["cases"])

    def run(self):
        while self.left:
            before = len(self.left)
            self.run_what_is_left()
            if len(self.left) == before:  # it ended before its first case, and would again
                self.blame("failed", "the program ended before its first case: " + self.said_at_the_end())

    def command(self):
        return [self.suite["program"], "--reporter", "cases", "--input-file", f"{SCRATCH}/cases"]

    def run_what_is_left(self):
        chosen = f"{SCRATCH}/cases"
        with open(chosen, "w") as file:
            for name in self.left:
                quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("[", "\\[").replace(",", "\\,")
                file.write(f'"{quoted}"\n')
        os.chmod(chosen, 0o644)
        user = self.plan["user"]
        identity = {"user": user, "group": user, "extra_groups": []} if user else {}
        with open(f"{SCRATCH}/stderr", "wb") as errors:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                       cwd="/tmp", start_new_session=True, preexec_fn=self.limit, **identity)
        try:
            self.read(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

    def limit(self):
        """Called as the user of the program, which may lower a limit."""
        memory = self.plan["memlock"]
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (memory, memory))

    def read(self, process):
        """Judges the program's output until it ends, or until one case takes too long."""
        text = b""
        comments = []
        planned = failed = False
        started = time.monotonic()
        while True:
            rest = started + self.plan["seconds_per_case"] - time.monotonic()
            if rest <= 0 or not select.select([process.stdout], [], [], rest)[0]:
                self.blame("hung", f"no end after {self.plan['seconds_per_case']:.0f} s")
                return
            some = os.read(process.stdout.fileno(), 65536)
            if not some:
                break
            *lines, text = (text + some).split(b"\n")
            for each in lines:
                each = each.decode(errors="replace")
                if each.startswith("1.."):
                    planned = True
                    continue
                if each.startswith(("ok ", "not ok ")):
                    self.judge(each, comments, time.monotonic() - started)
                    failed = failed or each.startswith("not ok")
                    comments = []
                    started = time.monotonic()
                else:
                    comments.append(each)
        status = process.wait()
        how = f"ended by signal {-status}" if status < 0 else f"exited with {status}"
        # A bad end of a program with a failed case is told by that case.
        if planned and not failed and status not in (0, CATCH2_ALL_SKIPPED):
            self.tell("the end of the program", "failed", f"the program {how} behind its last case\n" + self.said_at_the_end())
        if self.left and not planned:
            self.blame("failed", f"the program {how} in this case\n" + "\n".join(comments) + self.said_at_the_end())

    def judge(self, line, comments, seconds):
        words, _, directive = line.partition(" # SKIP")
        name = words.split(" - ", 1)[1].strip()
        if line.startswith("not ok"):
            result, text = "failed", "\n".join(comments)
        elif directive or line.endswith("# SKIP"):
            result, text = "skipped", directive.strip()
        else:
            result, text = "passed", ""
        self.end(name, result, text, seconds)

    def blame(self, result, text):
        """The case that had begun is the first one without a result, because a case is reported at its end."""
        self.end(self.left[0], result, text, 0)

    def end(self, name, result, text, seconds):
        # The reporter writes a '#' in a name as a space.
        place = next((i for i, left in enumerate(self.left) if left.replace("#", " ") == name.replace("#", " ")), None)
        if place is not None:
            name = self.left.pop(place)
        self.tell(name, result, text, seconds)

    def tell(self, name, result, text, seconds=0):
        tell(self.line, suite=self.suite["name"], case=name, result=result, text=text, seconds=round(seconds, 2))

    @staticmethod
    def said_at_the_end():
        with open(f"{SCRATCH}/stderr", "rb") as file:
            return file.read()[-KEPT_OF_STDERR:].decode(errors="replace")


def main():
    os.environ.update(PATH="/usr/sbin:/usr/bin", HOME="/root", LANG="C.UTF-8", TMPDIR="/tmp")
    with open("/plan.json") as file:
        plan = json.load(file)
    prepare_system(plan)
    with open(plan["results"], "wb", buffering=0) as line:
        tell(line, booted=os.uname().release, built=os.uname().version, processors=os.cpu_count(),
             seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
        for suite in plan["suites"]:
            Program(plan, suite, line).run()
        tell(line, ended=True)
    with open("/proc/sysrq-trigger", "w") as file:
        file.write("o")
    time.sleep(60)  # the power goes off in the background


if __name__ == "__main__":
    main()
