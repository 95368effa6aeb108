#!/usr/bin/env python3
"""tools/test --case: the files that it builds, and its link command."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))
import one_case  # noqa: E402


class Names(unittest.TestCase):
    def test_a_name_may_have_tags_and_several_pieces(self):
        source = 'TEST_CASE("one") {}\nTEST_CASE(\n    "two, in "\n    "pieces", "[threads]") {}\n'
        self.assertEqual(one_case.names_in(source), ["one", "two, in pieces"])

    def test_a_quotation_mark_in_a_name_does_not_end_it(self):
        self.assertEqual(one_case.names_in(r'TEST_CASE("says \"no\"") {}'), [r"says \"no\""])


class Files(unittest.TestCase):
    def test_only_files_with_such_a_case_are_built(self):
        with tempfile.TemporaryDirectory() as folder:
            tests = Path(folder)
            for suite in one_case.SUITES:
                (tests / suite).mkdir()
            (tests / "unit" / "a_test.cpp").write_text('TEST_CASE("an empty list") {}')
            (tests / "net" / "b_test.cpp").write_text('TEST_CASE("a full list") {}')
            (tests / "net" / "c_test.cpp").write_text('TEST_CASE("nothing") {}\n// an empty list')
            found = [(suite, file.name) for suite, file in one_case.files_with("empty list", tests)]
            self.assertEqual(found, [("unit", "a_test.cpp")])
            self.assertEqual(one_case.files_with("no such case", tests), [])


class Linking(unittest.TestCase):
    def test_the_objects_of_the_suite_make_room_for_those_of_the_case(self):
        whole = "g++ -o tests/test-unit tests/a.o tests/b.o -Wl,--as-needed lib/liburing6-objects.a -luring"
        self.assertEqual(one_case.link_command(whole, ["tests/c.o"], "tests/one-case"),
                         ["g++", "-o", "tests/one-case", "tests/c.o", "-Wl,--as-needed", "lib/liburing6-objects.a",
                          "-luring"])


if __name__ == "__main__":
    unittest.main()
