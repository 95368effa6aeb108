#!/usr/bin/env python3
"""The counts that tools/test prints: every error of a run counts as a failure."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))
from outcome import Outcome, of_program, of_tap  # noqa: E402


def tap(output, returncode=0, timed_out=False, errors=""):
    return of_tap("program", returncode, timed_out, output, errors)


class Tap(unittest.TestCase):
    def test_counts_cases(self):
        outcome = tap("ok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no privilege\n1..3\n", returncode=1)
        self.assertEqual(str(outcome), "1 passed, 1 failed, 1 skipped")

    def test_keeps_the_reason_of_a_skip(self):
        outcome = tap("ok 1 - a\nok 2 - b_c # SKIP needs CAP_NET_ADMIN\n1..2\n")
        self.assertEqual(outcome.skips, [("b_c", "needs CAP_NET_ADMIN")])

    def test_reports_what_a_failed_case_said(self):
        outcome = tap("ok 1 - a\n# x.cpp:7: b\n#   CHECK( 1 == 2 )\nnot ok 2 - b\n1..2\n", returncode=1)
        self.assertIn("x.cpp:7", outcome.reports[0])
        self.assertNotIn("ok 1 - a", outcome.reports[0])

    def test_all_skipped_is_no_failure(self):
        self.assertEqual(str(tap("ok 1 - a # SKIP why\n1..1\n", returncode=4)), "0 passed, 0 failed, 1 skipped")

    def test_a_death_before_the_first_case_is_a_failure(self):
        self.assertEqual(tap("", returncode=-11).failed, 1)
        self.assertEqual(tap("", returncode=127, errors="cannot load").failed, 1)

    def test_silence_with_status_0_is_a_failure(self):
        self.assertEqual(tap("").failed, 1)

    def test_a_death_between_cases_is_a_failure(self):
        outcome = tap("ok 1 - a\nok 2 - b\n", returncode=-6, errors="ERROR: AddressSanitizer: x")
        self.assertEqual((outcome.passed, outcome.failed), (2, 1))
        self.assertIn("AddressSanitizer", outcome.reports[0])

    def test_an_exit_between_cases_is_a_failure(self):
        self.assertEqual(tap("ok 1 - a\n").failed, 1)

    def test_a_bad_end_after_good_cases_is_a_failure(self):
        self.assertEqual(tap("ok 1 - a\n1..1\n", returncode=23, errors="LeakSanitizer").failed, 1)
        self.assertEqual(tap("ok 1 - a\n1..1\n", returncode=-11).failed, 1)

    def test_a_case_that_was_blamed_for_a_signal_counts_once(self):
        self.assertEqual(tap("# SIGSEGV\nnot ok 1 - a\n1..1\n", returncode=-11).failed, 1)

    def test_a_time_out_is_a_failure(self):
        self.assertEqual(tap("ok 1 - a\n", returncode=-15, timed_out=True).failed, 1)

    def test_a_time_out_names_the_case_that_was_running(self):
        outcome = tap("# begins: a\nok 1 - a\n# begins: b\n", returncode=-15, timed_out=True)
        self.assertIn("did not end in time, after 1 cases, in the case: b", outcome.reports[0])
        self.assertNotIn("begins", outcome.reports[0])

    def test_a_death_names_the_case_that_was_running(self):
        outcome = tap("# begins: a\nok 1 - a\n# begins: b\n", returncode=-9)
        self.assertIn("was ended by signal 9 before the end of the tests, after 1 cases, in the case: b", outcome.reports[0])
        self.assertNotIn("in the case", tap("# begins: a\nok 1 - a\n", returncode=-9).reports[0])

    def test_a_wrong_plan_is_a_failure(self):
        self.assertEqual(tap("ok 1 - a\n1..2\n").failed, 1)

    def test_nothing_chosen_is_nothing(self):
        self.assertEqual(str(tap("1..0\n")), "0 passed, 0 failed, 0 skipped")


class Program(unittest.TestCase):
    def test_status_0_passes(self):
        self.assertEqual(of_program("p", 0, False, "", "").passed, 1)

    def test_status_77_skips_with_its_last_line(self):
        outcome = of_program("p", 77, False, "looking\nthere is no cmake\n", "")
        self.assertEqual(outcome.skips, [("p", "there is no cmake")])

    def test_anything_else_fails_with_its_output(self):
        for returncode, timed_out in ((1, False), (-11, False), (None, True)):
            outcome = of_program("p", returncode, timed_out, "said this", "")
            self.assertEqual(outcome.failed, 1)
            self.assertIn("said this", outcome.reports[0])


class Sum(unittest.TestCase):
    def test_adds_up(self):
        total = Outcome()
        total += tap("ok 1 - a\n1..1\n")
        total += tap("not ok 1 - a\n1..1\n", returncode=1)
        total += tap("ok 1 - a # SKIP x\n1..1\n")
        self.assertEqual(str(total), "1 passed, 1 failed, 1 skipped")


if __name__ == "__main__":
    unittest.main(verbosity=0)
