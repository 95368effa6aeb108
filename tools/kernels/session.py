"""A run of test programs on several kernels: the choice, how many at a time, and a matrix of the results."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from kernels import image
from kernels.catalogue import Catalogue, as_numbers
from kernels.machine import Guest, patience
from kernels.processor import PROCESSORS, X86_64, Processor, Unavailable
from kernels.settings import FLOORS, SETTINGS, settings_for
from kernels.sysroot import system_of
from outcome import Outcome, failure, skip

DEFAULT = ["6.1", "6.12", "newest"]
# What tools/test --only kernels runs.
QUICK = ["6.1:root", "6.12:root"]
PROGRAMS = {"unit": "tests/test-unit", "net": "tests/test-net", "fault": "tests/test-fault",
            "service": "tests/service/test-service"}
# Files that the test programs start and read, in the build directory and in the source.
STARTED = ["tests/service/echo-service"]
READ = ["tests/service/echo.cpp"]
SOURCE = Path(__file__).resolve().parents[2]


class UnknownWord(Exception):
    """What the command line names and is not there."""


@dataclass(frozen=True)
class Chosen:
    kernel: str  # "6.1", "newest"
    setting: str = ""  # empty: every one
    processor: Processor = X86_64

    def __str__(self):
        processor = f"@{self.processor.name}" if self.processor != X86_64 else ""
        return self.kernel + processor + (f":{self.setting}" if self.setting else "")


def parse(words):
    """"6.12@aarch64:user" -> Chosen("6.12", "user", ...). Throws UnknownWord."""
    chosen = []
    for word in words or DEFAULT:
        kernel, _, setting = word.partition(":")
        kernel, _, processor = kernel.partition("@")
        if setting and setting not in {known.name for known in SETTINGS}:
            raise UnknownWord(f"there is no setting {setting}; there are {', '.join(s.name for s in SETTINGS)}")
        if processor and processor not in PROCESSORS:
            raise UnknownWord(f"there is no processor {processor}; there are {', '.join(PROCESSORS)}")
        chosen.append(Chosen(kernel, setting, PROCESSORS.get(processor, X86_64)))
    return chosen


def by_programs(chosen):
    """The same in up to two parts: those whose programs are built for this machine, and those that are cross-built."""
    return [part for part in ([each for each in chosen if not each.processor.emulator],
                              [each for each in chosen if each.processor.emulator]) if part]


def cases_of(program, expression, system):
    """The names of a program's cases, in the order in which they run."""
    words = [*system.runner, program, "--list-tests", "--verbosity", "quiet", *([expression] if expression else [])]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [line.strip() for line in said.splitlines() if line.strip()]


def suites_of(setting, build, system):
    suites = {}
    for name in setting.suites:
        program = str(Path(build, PROGRAMS[name]).resolve())
        cases = cases_of(program, setting.cases, system)
        if cases:
            suites[name] = {"program": program, "cases": cases}
    return suites


def run(chosen, build, say=print):
    """Runs what was chosen with the programs of the build directory; prints the matrix; returns the outcome."""
    outcome = Outcome()
    guests = []
    files = [str(Path(build, file).resolve()) for file in STARTED] + [str(SOURCE / file) for file in READ]
    for each in chosen:
        try:
            system = system_of(each.processor)
            kernel = Catalogue(each.processor).fetch(each.kernel)
            image.modules_file(kernel)  # before the guests, which share it, run beside each other
        except Unavailable as reason:
            outcome += skip(f"kernel {each}", str(reason))
            continue
        for setting in settings_for(as_numbers(kernel.version)):
            if each.setting in ("", setting.name):
                suites = suites_of(setting, build, system)
                guests.append(Guest(kernel, setting, suites, files, system, patience()))
    # A guest mostly uses one processor at a time, however many it has.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        started = [pool.submit(guest.run) for guest in guests]
        try:
            for finished in as_completed(started):
                say(summary(finished.result()), flush=True)
        except BaseException:  # an interrupt, too: the pool waits for its threads
            for guest in guests:
                guest.give_up()
            raise
    runs = [each.result() for each in started]
    for each in runs:
        outcome += outcome_of(each)
    if runs:
        say(matrix(runs))
    return outcome


def summary(run):
    if run.refusal:
        return f"    {run.kernel} {run.setting.name}: {run.refusal}"
    return (f"    {run.release} {run.setting.name}: {counted(run.results)}, "
            f"{run.seconds:.0f} s, {run.boots} boot{'s' if run.boots != 1 else ''}")


def counted(results):
    def number(*kinds):
        return sum(1 for result in results if result.result in kinds)
    return f"{number('passed')} / {number('failed', 'hung')} / {number('skipped')}"


def matrix(runs):
    """A table in Markdown: a row for each kernel and setting, a column for each suite."""
    lines = ["| kernel | setting | " + " | ".join(FLOORS) + " | s |", "|---" * (len(FLOORS) + 3) + "|"]
    for run in runs:
        cells = [counted([result for result in run.results if result.suite == suite])
                 if any(result.suite == suite for result in run.results) else "" for suite in FLOORS]
        lines.append(f"| {run.release or run.kernel} | {run.setting.about} | {' | '.join(cells)} | {run.seconds:.0f} |")
    lines.append("(passed / failed / skipped)")
    return "\n".join(lines)


def outcome_of(run):
    where = f"{run.release or run.kernel}, {run.setting.about}"
    if run.refusal:
        return failure(where, run.refusal)
    outcome = Outcome()
    for result in run.results:
        if result.result == "passed":
            outcome.passed += 1
        elif result.result == "skipped":
            outcome += skip(f"{result.suite}: {result.case} ({run.setting.name})", result.text)
        else:
            outcome += failure(f"{where}, {result.suite}: {result.case} ({result.result})", result.text)
    return outcome
