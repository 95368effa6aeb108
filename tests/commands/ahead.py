#!/usr/bin/env python3
"""What tools/test builds while tests run: the order, and where a failure arrives; the time limit of a script."""

import io
import os
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))
import run_tests  # noqa: E402
from ahead import Build, Builder, BuildFailed, Progress  # noqa: E402


def building(builder, *steps):
    """A build of these steps: a list of words is a command, anything else is given to the tests."""
    def make(build):
        for step in steps:
            if isinstance(step, list):
                builder.run(build, step, {})
            else:
                yield step
    return Build("b", make)


class Order(unittest.TestCase):
    def setUp(self):
        self.builder = Builder(Progress(io.StringIO()))

    def test_the_tests_of_a_suite_are_there_before_the_next_suite_is_built(self):
        reader, writer = os.pipe()  # the second suite is built when the test of the first has written
        build = building(self.builder, "unit", ["sh", "-c", f"read line </proc/{os.getpid()}/fd/{reader}"], "net")
        self.builder.submit(build)
        suites = build.take()
        self.assertEqual(next(suites), "unit")
        os.write(writer, b"go\n")
        self.assertEqual(list(suites), ["net"])

    def test_a_failure_arrives_after_the_suites_that_were_built(self):
        build = building(self.builder, "unit", ["sh", "-c", "echo it says this; exit 3"], "net")
        self.builder.submit(build)
        suites = build.take()
        self.assertEqual(next(suites), "unit")
        with self.assertRaisesRegex(BuildFailed, "it says this"):
            next(suites)

    def test_a_failure_is_one_for_each_step_that_needs_the_build_and_none_for_others(self):
        bad, good = building(self.builder, ["false"]), building(self.builder, "unit")
        self.builder.submit(bad)
        self.builder.submit(good)
        for _ in range(2):
            with self.assertRaises(BuildFailed):
                bad.finish()
        good.finish()
        good.finish()

    def test_a_command_that_is_not_there_is_a_failure(self):
        build = building(self.builder, ["/no/such/command"])
        self.builder.submit(build)
        with self.assertRaises(BuildFailed):
            build.finish()

    def test_the_end_of_the_runner_ends_the_compilers(self):
        reader, writer = os.pipe()  # ends when the last process with the writing end has ended
        build = building(self.builder, ["sh", "-c", f"sleep 1000 >/proc/{os.getpid()}/fd/{writer} & echo '[1/2]'; wait"])
        shown = []
        self.builder.progress.builds = shown.append
        self.builder.submit(build)
        while "b 1/2" not in shown:
            os.sched_yield()
        self.builder.stop()
        with self.assertRaises(BuildFailed):
            build.finish()
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")


class Shown(unittest.TestCase):
    def test_a_line_tells_what_runs_and_what_is_built(self):
        progress = Progress(io.StringIO())
        self.assertEqual(progress.line(), "")
        progress.tests("gcc/net")
        progress.builds("clang 3/9")
        self.assertRegex(progress.line(), r"^    \[0 s\] runs gcc/net for 0 s, builds clang 3/9$")


class Script(unittest.TestCase):
    def test_a_script_that_cannot_be_executed_is_a_failure(self):
        outcome = run_tests.run_program("script", [Path(__file__).parents[1] / "consumer" / "common.sh"], {})
        self.assertEqual(outcome.failed, 1)
        self.assertIn("Permission denied", outcome.reports[0])


class TimeLimit(unittest.TestCase):
    def test_a_script_that_hangs_ends_with_the_programs_that_it_started(self):
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        command = ["sh", "-c", f"sleep 1000 >/proc/{os.getpid()}/fd/{writer} & echo begun; wait"]
        with mock.patch.object(run_tests, "SECONDS_PER_SCRIPT", 0.5):
            outcome = run_tests.run_program("script", command, {})
        self.assertEqual(outcome.failed, 1)
        self.assertIn("script did not end in time", outcome.reports[0])
        os.close(writer)
        self.assertEqual(os.read(reader, 1), b"")


if __name__ == "__main__":
    unittest.main(verbosity=0)
