#!/usr/bin/env python3
"""Plants the bugs of tests/mutants one at a time into a copy of the sources, and tells which tests find each.

usage: tests/mutants/run.py --check
       tests/mutants/run.py [--seeds COUNT] [--jobs COUNT] [--folder FOLDER] [--near] [NAME...]

--check tells whether each patch applies. Else each bug, or each that is named, is built, and tested by the seeds, by the
test files nearest to it, by the thread sanitizer or the model of wake-ups where these know the file, and, if at most the
seeds have found it, by all of unit, net and fault. With --near the suites are not run, and only the nearest files of
them are built. The folder (build/mutants) keeps the copy, its one build and results.json: a bug with a result there is
not run again unless its patch has changed, or it lived and is named.

A case that fails is run again alone, up to three times; if it never fails alone it counts for nothing, because cases
that fail on a busy machine now and then are not what finds a bug. Before the bugs, all that they need is run on sources
without a bug, and has to pass. Exit status: 0 all were killed, 1 some lived or a patch does not apply, 2 a wrong option.
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
KINDS = ("seeds", "nearest tests", "thread sanitizer", "model")  # what looks for a bug before whole suites do
PATIENCE = 3  # times the time that a suite took without a bug; a bug that makes it slower than that counts as killed
LEAST_SECONDS = 30  # of a suite's limit, beside the factor: a busy machine is slow at moments
MOST_UNSTEADY = 5  # cases that fail without a bug on a busy machine, and are left out
REPEATS = 3  # of a case that failed, alone
SEED_SECONDS = "5"  # of one seed, which takes a millisecond

# Where the bug is, and the folders or files (without _test.cpp) of the tests nearest to it: the first line that fits.
NEAR = [
    ("lib/ipv6/address/domain_name", ["unit/codec/icmp_option"]),
    ("lib/ipv6/address", ["unit/value/address"]),
    ("lib/ipv6/bpf", ["unit/codec/bpf"]),
    ("lib/ipv6/icmp/icmp_extension", ["unit/codec/icmp_extension", "unit/codec/icmp_error_message"]),
    ("lib/ipv6/icmp/icmp_multicast", ["unit/codec/icmp_multicast_listener"]),
    ("lib/ipv6/icmp", ["unit/codec/icmp_option"]),
    ("lib/ipv6/value/checksum", ["unit/value/checksum"]),
    ("lib/ipv6/value/cmsg", ["unit/value/control_message"]),
    ("lib/ipv6", ["unit/value/header"]),
    ("lib/sys/interface/netlink", ["net/multicast/netlink", "net/multicast/interfaces"]),
    ("lib/sys/interface", ["net/multicast/interfaces", "unit/value/network_table"]),
    ("lib/sys/multicast/source_filter", ["net/multicast/whole_filter"]),
    ("lib/sys/multicast", ["net/multicast/membership", "net/multicast/stale_membership"]),
    ("lib/sys/socket/error_queue", ["net/receive/error_report"]),
    ("lib/sys", ["net/open/bad_input"]),
    ("lib/uring/readiness", ["unit/ring/readiness", "unit/ring/readiness_edge"]),
    ("lib/uring/thread_claim", ["unit/ring/ring", "unit/loop/event_loop_threads"]),
    ("lib/uring/buffer_pool", ["unit/ring/buffer_pool"]),
    ("lib/uring", ["unit/ring/ring", "unit/ring/ring_wait", "unit/loop/event_loop", "fault/allocation"]),
    ("lib/runtime/loop/loop_group", ["net/open/loop_group"]),
    ("lib/runtime/loop/sole_child", ["unit/loop/siblings", "unit/task/with_timeout"]),
    ("lib/runtime/loop/siblings", ["unit/loop/siblings", "unit/task/when_any", "unit/task/with_timeout"]),
    ("lib/runtime/loop/timer_heap", ["unit/loop/timer_heap", "unit/loop/timer"]),
    ("lib/runtime/loop", ["unit/loop/event_loop", "unit/loop/event_loop_threads", "unit/loop/host_loop", "unit/loop/inbox",
                          "net/send/coalesce"]),
    ("lib/runtime/service/signals", ["unit/loop/signals"]),
    ("lib/runtime/service", ["unit/loop/run_blocking", "unit/loop/simulated_clock"]),
    ("lib/runtime/task/permit", ["unit/task/semaphore", "unit/task/channel"]),
    ("lib/runtime/task/stop", ["unit/task/stop_token", "unit/task/stop_threads"]),
    ("lib/runtime/task", ["unit/task/scope"]),
    ("lib/net/receive", ["net/receive"]),
    ("lib/net/send", ["net/send"]),
    ("lib/net/tcp", ["net/tcp", "net/open/dial"]),
    ("lib/net/memory", ["net/memory"]),
    ("lib/net", ["net/open", "net/receive"]),
]
# Bugs of the other driver are looked for with it, too.
SEEDED = ("lib/ipv6/value/cmsg", "lib/uring", "lib/runtime", "lib/net")  # what the scenarios of the seeds use
BY_READINESS = "lib/uring/readiness"
# Files that the thread sanitizer is asked about, each alone with its test: on x86 a weaker order is seen by nothing else.
SANITIZED = {"lib/uring/thread_claim.cpp": "unit/ring/thread_claim"}
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
        self.built = 0.0  # when the last build ended

    def make(self, *targets):
        result = subprocess.run(["ninja", "-C", self.build, f"-j{self.jobs}", *targets], capture_output=True, text=True)
        if result.returncode != 0:
            raise DoesNotBuild("\n".join(result.stdout.splitlines()[-30:]))
        self.built = time.monotonic()

    def configure(self):
        if not (self.build / "build.ninja").exists():
            subprocess.run(["meson", "setup", self.build, self.copy, *OPTIONS], check=True, stdout=subprocess.DEVNULL)

    def program(self, suite, files):
        """The suite's program, of these of its files alone or of all: nothing else of the suite is built."""
        whole = f"tests/test-{suite}"
        if not files:
            self.make(whole)
            return self.build / whole
        link = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "-s", whole], check=True, capture_output=True,
                              text=True).stdout.splitlines()[-1].split()
        mine = {f"{whole}.p/{file.relative_to(self.copy / 'tests').as_posix().replace('/', '_')}.o" for file in files}
        link = [word for word in link if not word.startswith(f"{whole}.p/") or word in mine]
        assert mine <= set(link), f"{suite} has no {mine - set(link)}"
        self.make(*(word for word in link if not word.startswith(("/", "-")) and word.endswith((".o", ".a"))))
        near = f"tests/near-{suite}"
        link[link.index("-o") + 1] = near
        linked = subprocess.run(link, cwd=self.build, capture_output=True, text=True)
        if linked.returncode != 0:
            raise DoesNotBuild(linked.stderr)
        self.built = time.monotonic()
        return self.build / near

    def run_seeds(self, seconds):
        """None, or what broke."""
        self.make("tests/schedule/schedules")
        command = [self.build / "tests/schedule/schedules", "--seeds", self.seeds, "--jobs", self.jobs]
        code, output, errors = run(command, seconds, {"URING6_SEED_SECONDS": SEED_SECONDS})
        lines = [line for line in (errors + output).splitlines() if line.strip()]
        return None if code == 0 else next(iter(lines), "no message")[:150] if code is not None else "does not end in time"

    def run_cases(self, suite, files, seconds, settings=None):
        """None, or the case that failed, also when it runs alone. `files`: only these; none of them: all files."""
        program = self.program(suite, files)
        without = list(self.unsteady)
        while True:
            chosen = "".join(f'~"{quoted(name)}"' for name in without)
            command = [program, *([chosen] if chosen else []), "--abort", "--reporter", "cases"]
            code, output, errors = run(command, seconds, settings)
            if code in (0, 4):  # 4: all were skipped
                return None
            failed = re.search(r"^not ok \d+ -? ?(.*)", output, re.M)
            begun = re.findall(r"^# begins: (.*)", output, re.M)
            if not failed and not begun:
                return (errors[-100:] or "ends without a case")[:150]
            case = failed[1] if failed else begun[-1]
            how = "" if failed else "ends in: " if code is not None else "hangs in: "
            if any(run([program, f'"{quoted(case)}"'], LEAST_SECONDS, settings)[0] not in (0, 4) for _ in range(REPEATS)):
                return (how + case)[:150]
            without.append(case)
            if len(without) > len(self.unsteady) + MOST_UNSTEADY:
                return f"more than {MOST_UNSTEADY} cases, none of them alone: {case}"[:150]

    def run_model(self, seconds):
        code, output, errors = run([self.copy / "tests/model/check.py"], seconds)
        return None if code in (0, 77) else (output + errors).strip().partition("\n")[0][:150]

    def run_sanitized(self, file, place, seconds):
        program = self.build / "tests/sanitized"
        built = subprocess.run(["g++", "-std=c++20", "-O1", "-g", "-fsanitize=thread", "-pthread", "-Iinclude", "-Ilib",
                                "-Itests", file, f"tests/{place}_test.cpp", "-lCatch2Main", "-lCatch2", "-o", program],
                               cwd=self.copy, capture_output=True, text=True)
        if built.returncode != 0:
            raise DoesNotBuild(built.stderr)
        self.built = time.monotonic()
        code, output, errors = run([program], seconds)
        return None if code == 0 else next(iter(re.findall(r"^WARNING: (.*?) \(pid", errors, re.M)), "no message")[:150]

    def rounds(self, file):
        """What looks for a bug in that file: {name: function of a limit in seconds}, the suites as a whole last."""
        found = {}
        if file.startswith(SEEDED):
            found["seeds"] = self.run_seeds
        near = next(places for place, places in NEAR if file.startswith(place))
        for suite in dict.fromkeys(place.partition("/")[0] for place in near):
            files = [near_file for place in near if place.startswith(suite + "/") for near_file in self.files_of(place)]
            # Suites are found by name, so that bugs with the same tests share their run without a bug.
            name = " ".join(place for place in near if place.startswith(suite + "/"))
            found[name] = lambda seconds, suite=suite, files=files: self.run_cases(suite, files, seconds)
            if file.startswith(BY_READINESS):
                found[f"{name} by readiness"] = lambda seconds, suite=suite, files=files: self.run_cases(
                    suite, files, seconds, {"URING6_DRIVER": "readiness"})
        if file in SANITIZED:
            place = SANITIZED[file]
            found["thread sanitizer"] = lambda seconds: self.run_sanitized(file, place, seconds)
        if file in OF_MODEL:
            found["model"] = self.run_model
        for suite in () if self.near_only else SUITES:
            found[suite] = lambda seconds, suite=suite: self.run_cases(suite, [], seconds)
        return found

    def files_of(self, place):
        file = self.copy / f"tests/{place}_test.cpp"
        files = [file] if file.exists() else sorted((self.copy / "tests" / place).glob("*_test.cpp"))
        assert files, f"tests/{place} has no test files"
        return files

    def find(self, file, limits):
        """{the kind of round that found the bug: the seed or case}."""
        found = {}
        for name, round in self.rounds(file).items():
            kind = name if name in KINDS or name in SUITES else "nearest tests"
            # The seeds and the nearest tests both have their say, so that the table tells what only seeds find.
            if any(known == kind or known != "seeds" for known in found):
                continue
            if failed := round(limits[name]):
                found[kind] = failed
        return found


def limits_without_bug(trial, files, results, save):
    """Runs everything that is needed on sources without a bug, once; returns the limits of all later runs."""
    limits = results.setdefault("limits", {})
    trial.unsteady = results.setdefault("unsteady", [])
    rounds = {}
    for file in files:
        rounds |= trial.rounds(file)
    for name, round in rounds.items():
        if name in limits:
            continue
        started = time.monotonic()
        failed = round(3600)
        # A busy machine is no reason to give up, many failures are.
        while failed and name != "seeds" and len(trial.unsteady) < MOST_UNSTEADY:
            print(f"without a bug {name} fails, and is run without: {failed}", flush=True)
            trial.unsteady.append(failed)
            failed = round(3600)
        if failed:
            sys.exit(f"without a bug {name} fails: {failed}")
        took = time.monotonic() - max(started, trial.built)
        limits[name] = LEAST_SECONDS + PATIENCE * took
        save()
        print(f"without a bug: {name} passes, run in {took:.0f} s", flush=True)
    return limits


def table(patches, results):
    lines = ["| bug | killed by | seed or case |", "|---|---|---|"]
    for patch in patches:
        known = results["mutants"].get(name_of(patch))
        by = ", ".join(known["by"]) or "lives" if known else "not run"
        where = "; ".join(known["by"].values()) if known else ""
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

    limits = limits_without_bug(trial, dict.fromkeys(file_of(patch) for patch in patches), results, save)
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
            by = trial.find(file, limits)
        except DoesNotBuild as error:
            sys.exit(f"{patch.name} does not build:\n{error}")
        finally:
            shutil.copy(SOURCE / file, trial.copy / file)
        results["mutants"][name_of(patch)] = {"patch": mark, "by": by, "near": asked.near}
        save()
        told = "; ".join(f"{kind}: {where}" for kind, where in by.items()) or "LIVES"
        print(f"{name_of(patch)}: {told} ({time.monotonic() - started:.0f} s)", flush=True)
    print(table(patches, results))
    ran = [known for patch in patches if (known := results["mutants"].get(name_of(patch)))]
    killed = sum(1 for known in ran if known["by"])
    print(f"{killed} of {len(ran)} killed")
    for kind in (*KINDS, *SUITES):
        print(f"{kind}: {sum(1 for known in ran if kind in known['by'])}, "
              f"alone: {sum(1 for known in ran if list(known['by']) == [kind])}")
    return 0 if killed == len(patches) else 1


if __name__ == "__main__":
    sys.exit(main())
