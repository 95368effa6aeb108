"""The result of a run of tests: counted in test cases, never in programs.

A program that speaks TAP (tests/support/case/case_reporter.cpp) counts once for each case, any other program once.
An end of a program outside of its cases (a signal, a time-out, an exit before the plan) counts as one more failure: every
error of a run counts.
"""

import re
from dataclasses import dataclass, field

CASE = re.compile(r"(?P<bad>not )?ok\b[ \t]*\d*[ \t]*-?[ \t]*(?P<name>[^#]*)(#[ \t]*SKIP\S*[ \t]*(?P<reason>.*))?", re.I)
PLAN = re.compile(r"1\.\.(\d+)\s*$")
CASE_BEGINS = "# begins: "  # the reporter writes it before each case
EXIT_SKIPPED = 77  # the convention of automake and Meson
CATCH2_ALL_SKIPPED = 4  # Catch2's exit status when it skipped all cases


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skips: list[tuple[str, str]] = field(default_factory=list)  # case, reason
    reports: list[str] = field(default_factory=list)  # what to print about the failures

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skips += other.skips
        self.reports += other.reports
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {len(self.skips)} skipped"


def failure(name, text):
    """One failed case with what is known about it."""
    return Outcome(failed=1, reports=[f"--- {name}\n{text.rstrip()}"])


def skip(name, reason):
    return Outcome(skips=[(name, reason or "no reason given")])


def ended(returncode):
    return f"exited with {returncode}" if returncode >= 0 else f"was ended by signal {-returncode}"


def of_tap(name, returncode, timed_out, output, errors):
    """The outcome of a program that writes TAP; output and errors are its two streams."""
    outcome = Outcome()
    told = []
    plan = None
    cases = 0
    running = ""  # the case that has begun and not ended
    for line in output.splitlines():
        if match := PLAN.match(line):
            plan = int(match[1])
        elif match := CASE.match(line):
            cases += 1
            running = ""
            if match["bad"]:
                outcome.failed += 1
                told.append(line)
            elif match["reason"] is not None:
                outcome.skips.append((match["name"].strip(), match["reason"].strip() or "no reason given"))
            else:
                outcome.passed += 1
        elif line.startswith(CASE_BEGINS):
            running = f", in the case: {line.removeprefix(CASE_BEGINS)}"
        else:
            told.append(line)

    died = ""
    if timed_out:
        died = f"did not end in time, after {cases} cases{running}"
    elif plan is None:
        died = f"{ended(returncode)} before the end of the tests, after {cases} cases{running}"
    elif plan != cases:
        died = f"announced {plan} cases and ran {cases}"
    elif returncode not in (0, CATCH2_ALL_SKIPPED) and outcome.failed == 0:
        died = f"{ended(returncode)} although no case failed"
    if died:
        outcome.failed += 1
        told.append(f"{name} {died}")
    if outcome.failed:
        told += errors.splitlines()[-200:]
        outcome.reports.append(f"--- {name}\n" + "\n".join(told))
    return outcome


def of_program(name, returncode, timed_out, output, errors):
    """The outcome of a program that tells by its exit status alone. A skip's reason is its last line."""
    text = (output + errors).rstrip()
    if timed_out:
        return failure(name, f"{text}\n{name} did not end in time")
    if returncode == 0:
        return Outcome(passed=1)
    if returncode == EXIT_SKIPPED:
        return skip(name, text.rpartition("\n")[2])
    return failure(name, f"{text}\n{name} {ended(returncode)}")
