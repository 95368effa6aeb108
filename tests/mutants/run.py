#!/usr/bin/env python3
"""Plants the bugs of tests/mutants one at a time into a copy of the sources, and tells which tests find each.

usage: tests/mutants/run.py --check
       tests/mutants/run.py [--seeds COUNT] [--jobs COUNT] [--folder FOLDER] [--near] [NAME...]

--check tells whether each patch applies. Else each bug, or each that is named, is built and tested until one test fails:
the seeds, the test files of the part of the library that has the bug, the model of wake-ups, then all of unit, net and
fault, or nothing of these with --near. The folder (build/mutants) keeps the copy, its one build and results.json: a bug
with a result there is not run again unless its patch has changed.

The first build is of sources without a bug, and every suite has to pass there. Exit status: 0 all were killed, 1 some
lived or a patch does not apply, 2 a wrong option.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
COPIED = ["include", "lib", "tests", "tools", "examples", "docs", "README.md", "meson.build", "meson_options.txt",
          "subprojects"]
OPTIONS = ["--buildtype=debugoptimized", "-Ddebug=false", "-Dbench=disabled", "-Db_pch=true", "-Dwerror=true",
           "--wrap-mode=nodownload"]
SUITES = ("unit", "net", "fault")
PATIENCE = 3  # times the time that a suite took without a bug; a bug that makes it slower than that counts as killed
LEAST_SECONDS = 30  # of a suite's limit, beside the factor: a busy machine is slow at moments
MOST_UNSTEADY = 5  # cases that fail without a bug on a busy machine, and are left out
SEED_SECONDS = "5"  # of one seed, which takes a millisecond

# Where the bug is, and the folders of the tests nearest to it: the first line that fits.
NEAR = [
    ("lib/ipv6/value/cmsg", ["unit/value", "net/receive", "net/send"]),
    ("lib/ipv6", ["unit/codec", "unit/value"]),
    ("lib/sys/interface", ["net/multicast", "unit/value"]),
    ("lib/sys/multicast", ["net/multicast"]),
    ("lib/sys", ["unit/ring", "net/receive", "net/raw", "net/open", "net/multicast"]),
    ("lib/uring/readiness", ["unit/ring", "net/open"]),
    ("lib/uring", ["unit/ring", "unit/loop", "net/receive"]),
    ("lib/runtime/loop/loop_group", ["net/open"]),
    ("lib/runtime/task", ["unit/task", "unit/loop"]),
    ("lib/runtime", ["unit/loop", "unit/task"]),
    ("lib/net/receive", ["net/receive"]),
    ("lib/net/send", ["net/send"]),
    ("lib/net/tcp", ["net/tcp", "net/open"]),
    ("lib/net/memory", ["net/memory"]),
    ("lib/net", ["net/open", "net/receive"]),
]
# A suite has room for one driver only: bugs of the other one are looked for by its environment variable, too.
SEEDED = ("lib/ipv6/value/cmsg", "lib/uring", "lib/runtime", "lib/net")  # what the scenarios of the seeds use
BY_READINESS = "lib/uring/readiness"
OF_MODEL = ("lib/runtime/loop/inbox.hpp", "lib/runtime/loop/loop_core.cpp")


class DoesNotBuild(Exception):
    pass


def name_of(patch):
    """net/dial-last-error: the floor's folder, and the file."""
    return patch.relative_to(HERE).with_suffix("").as_posix()


def quoted(case):
    """The name of a case in a specification of Catch2."""
    return re.sub(r'([\\,\[\]*"])', r"\\\1", case)


def about(patch):
    return patch.read_text().partition("\n")[0]


def file_of(patch):
    return re.search(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)[1]


def apply(patch, root, *options):
    return subprocess.run(["git", "apply", *options, patch], cwd=root, capture_output=True, text=True,
                          env=os.environ | {"GIT_CEILING_DIRECTORIES": str(Path(root).parent)})


def check(patches):
    wrong = 0
    for patch in patches:
        result = apply(patch, SOURCE, "--check")
        if result.returncode != 0:
            print(f"{patch.relative_to(SOURCE)} does not apply:\n{result.stderr.rstrip()}")
            wrong += 1
        if not about(patch) or about(patch).startswith("---"):
            print(f"{patch.relative_to(SOURCE)} does not begin with what the bug is")
            wrong += 1
    return 1 if wrong or not patches else 0


def copy_sources(to):
    """Files that are as they were keep their time, so that ninja builds nothing of them."""
    known = set()
    for place in COPIED:
        root = SOURCE / place
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            if not file.is_file() or "__pycache__" in file.parts:
                continue
            there = to / file.relative_to(SOURCE)
            known.add(there)
            if there.exists() and there.read_bytes() == file.read_bytes():
                continue
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, there)
    for place in COPIED:
        for there in (to / place).rglob("*"):
            if there.is_file() and there not in known:
                there.unlink()


def run(command, seconds, settings=None):
    """(exit status, or None after the time limit; output; errors). Ends what the command started, too."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors="replace", start_new_session=True, env=os.environ | (settings or {}))
    try:
        output, errors = process.communicate(timeout=seconds)
        return process.returncode, output, errors
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        return None, output, errors


class Trial:
    """Builds and tests what is in the copy."""

    def __init__(self, folder, seeds, jobs, near_only):
        self.copy = folder / "source"
        self.build = self.copy / "build/dev"  # where a developer has one: ccache knows its objects by such paths
        self.seeds = seeds
        self.jobs = jobs
        self.near_only = near_only
        self.unsteady = []  # cases that failed without a bug

    def make(self, *targets):
        result = subprocess.run(["ninja", "-C", self.build, f"-j{self.jobs}", *targets], capture_output=True, text=True)
        if result.returncode != 0:
            raise DoesNotBuild("\n".join(result.stdout.splitlines()[-30:]))

    def configure(self):
        if not (self.build / "build.ninja").exists():
            subprocess.run(["meson", "setup", self.build, self.copy, *OPTIONS], check=True, stdout=subprocess.DEVNULL)

    def run_seeds(self, seconds):
        """None, or what broke."""
        self.make("tests/schedule/schedules")
        command = [self.build / "tests/schedule/schedules", "--seeds", self.seeds, "--jobs", self.jobs]
        code, output, errors = run(command, seconds, {"URING6_SEED_SECONDS": SEED_SECONDS})
        lines = [line for line in (errors + output).splitlines() if line.strip()]
        return None if code == 0 else next(iter(lines), "no message")[:150] if code is not None else "does not end in time"

    def run_cases(self, suite, folders, seconds, settings=None):
        """None, or the case that failed. `folders`: only the files in them; none of them: all files."""
        self.make(f"tests/test-{suite}")
        files = [file for folder in folders for file in sorted((self.copy / "tests" / folder).glob("*_test.cpp"))]
        without = "".join(f'~"{quoted(name)}"' for name in self.unsteady)
        chosen = ",".join(f"[#{file.stem}]{without}" for file in files) or without
        command = [self.build / "tests" / f"test-{suite}", "-#", *([chosen] if chosen else []), "--abort", "--reporter", "cases"]
        code, output, errors = run(command, seconds, settings)
        if code in (0, 4):  # 4: all were skipped
            return None
        failed = re.search(r"^not ok \d+ -? ?(.*)", output, re.M)
        begun = re.findall(r"^# begins: (.*)", output, re.M)
        return (failed[1] if failed else f"{'ends' if code is not None else 'hangs'} in: {begun[-1] if begun else errors[-100:]}")[:150]

    def run_model(self):
        code, output, errors = run([self.copy / "tests/model/check.py"], 300)
        return None if code in (0, 77) else (output + errors).strip().partition("\n")[0][:150]

    def find(self, file, limits):
        """(the suite that found the bug, the seed or case), or nothing."""
        if file.startswith(SEEDED) and (broken := self.run_seeds(limits["seeds"])):
            return "seeds", broken
        near = next(folders for place, folders in NEAR if file.startswith(place))
        for suite in dict.fromkeys(folder.partition("/")[0] for folder in near):
            of_suite = [folder for folder in near if folder.startswith(suite + "/")]
            if failed := self.run_cases(suite, of_suite, limits[suite]):
                return suite, failed
            if file.startswith(BY_READINESS):
                if failed := self.run_cases(suite, [], limits[suite], {"URING6_DRIVER": "readiness"}):
                    return f"{suite} by readiness", failed
        if file in OF_MODEL and (failed := self.run_model()):
            return "model", failed
        for suite in () if self.near_only else SUITES:
            if failed := self.run_cases(suite, [], limits[suite]):
                return suite, failed
        return None


def limits_without_bug(trial, results, save):
    """Runs everything that is needed on sources without a bug, once; returns the limits of all later runs."""
    limits = results.setdefault("limits", {})
    trial.unsteady = results.setdefault("unsteady", [])
    for suite in ("seeds", *(SUITES[:2] if trial.near_only else SUITES)):
        if suite in limits:
            continue
        started = time.monotonic()
        trial.make("tests/schedule/schedules" if suite == "seeds" else f"tests/test-{suite}")
        built = time.monotonic()
        failed = trial.run_seeds(3600) if suite == "seeds" else trial.run_cases(suite, [], 3600)
        # A busy machine is no reason to give up, many failures are.
        while failed and suite != "seeds" and len(trial.unsteady) < MOST_UNSTEADY:
            print(f"without a bug {suite} fails, and is run without: {failed}", flush=True)
            trial.unsteady.append(failed)
            failed = trial.run_cases(suite, [], 3600)
        if failed:
            sys.exit(f"without a bug {suite} fails: {failed}")
        limits[suite] = LEAST_SECONDS + PATIENCE * (time.monotonic() - built)
        save()
        print(f"without a bug: {suite} passes, built in {built - started:.0f} s, run in {time.monotonic() - built:.0f} s",
              flush=True)
    return limits


def table(patches, results):
    lines = ["| bug | killed by | seed or case |", "|---|---|---|"]
    for patch in patches:
        known = results["mutants"].get(name_of(patch))
        by, where = (known["by"] or "lives", known["where"]) if known else ("not run", "")
        lines.append(f"| {name_of(patch)}: {about(patch)} | {by} | {where.replace('|', '/')} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.partition("usage: ")[2].partition("\n\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=SOURCE / "build/mutants")
    parser.add_argument("--near", action="store_true")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    patches = sorted(HERE.glob("*/*.patch"))
    if unknown := set(asked.names) - {name_of(patch) for patch in patches}:
        parser.error(f"there is no bug {', '.join(sorted(unknown))}")
    patches = [patch for patch in patches if not asked.names or name_of(patch) in asked.names]
    if asked.check:
        return check(patches)

    folder = asked.folder.resolve()
    trial = Trial(folder, asked.seeds, asked.jobs, asked.near)
    copy_sources(trial.copy)
    os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")
    trial.configure()
    file_of_results = folder / "results.json"
    results = json.loads(file_of_results.read_text()) if file_of_results.exists() else {"mutants": {}}

    def save():
        file_of_results.write_text(json.dumps(results, indent=1))

    limits = limits_without_bug(trial, results, save)
    for patch in patches:
        lines = [line for line in patch.read_text().splitlines() if not line.startswith("@@")]  # these change with other lines
        mark = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
        known = results["mutants"].get(name_of(patch))
        if known and known["patch"] == mark and not (asked.names and not known["by"]):
            continue
        started = time.monotonic()
        file = file_of(patch)
        applied = apply(patch, trial.copy)
        try:
            if applied.returncode != 0:
                sys.exit(f"{patch.name} does not apply: {applied.stderr}")
            by, where = trial.find(file, limits) or (None, "")
        except DoesNotBuild as error:
            sys.exit(f"{patch.name} does not build:\n{error}")
        finally:
            shutil.copy(SOURCE / file, trial.copy / file)
        results["mutants"][name_of(patch)] = {"patch": mark, "by": by, "where": where, "near": asked.near}
        save()
        print(f"{name_of(patch)}: {by or 'LIVES'} {where} ({time.monotonic() - started:.0f} s)", flush=True)
    print(table(patches, results))
    ran = [known for patch in patches if (known := results["mutants"].get(name_of(patch)))]
    killed = sum(1 for known in ran if known["by"])
    print(f"{killed} of {len(ran)} killed")
    return 0 if killed == len(patches) else 1


if __name__ == "__main__":
    sys.exit(main())
