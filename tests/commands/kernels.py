#!/usr/bin/env python3
"""tools/test --kernels around a kernel: the choice of kernels, the guest's files, one result for each case although cases
crash, hang and end the kernel, and the table of results."""

import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS), str(TOOLS / "lib")]
import kernels.system  # noqa: E402
from kernels import guest, machine, session  # noqa: E402
from kernels.archive import Archive  # noqa: E402
from kernels.catalogue import Kernel, choose  # noqa: E402
from kernels.machine import Guest, Result, Run  # noqa: E402
from kernels.processor import PROCESSORS  # noqa: E402
from kernels.registry import LISTS_HOLD, RETRY_AFTER, Registry  # noqa: E402
from kernels.session import Chosen  # noqa: E402
from kernels.settings import FLOORS, SETTINGS, TOO_OLD, Setting, settings_for  # noqa: E402
from kernels.system import Sysroot  # noqa: E402


class Choice(unittest.TestCase):
    versions = ["6.1.0-9", "6.1.0-57", "6.12.9+deb13", "6.12.117+deb12", "6.16.3+deb13", "7.3.4+deb13", "5.10.0-46"]

    def test_takes_the_newest_of_a_series(self):
        self.assertEqual(choose("6.1", self.versions), "6.1.0-57")
        self.assertEqual(choose("6.12", self.versions), "6.12.117+deb12")
        self.assertEqual(choose("6.12.9", self.versions), "6.12.9+deb13")
        self.assertEqual(choose("newest", self.versions), "7.3.4+deb13")

    def test_knows_what_is_not_there(self):
        self.assertIsNone(choose("6.2", self.versions))
        self.assertIsNone(choose("newest", []))

    def test_a_word_may_name_a_setting(self):
        self.assertEqual(session.parse(["6.1:user", "newest"]), [Chosen("6.1", "user"), Chosen("newest", "")])
        self.assertEqual([each.kernel for each in session.parse([])], session.DEFAULT)
        with self.assertRaises(session.UnknownWord):
            session.parse(["6.1:nobody"])

    def test_a_word_may_name_a_processor(self):
        self.assertEqual(session.parse(["6.12@aarch64:user", "6.1@x86_64"]),
                         [Chosen("6.12", "user", PROCESSORS["aarch64"]), Chosen("6.1")])
        with self.assertRaises(session.UnknownWord):
            session.parse(["6.1@vax:root"])

    def test_what_is_chosen_reads_as_it_was_written(self):
        words = ["6.12@aarch64:user", "6.12@aarch64-16k", "6.1:root", "newest"]
        self.assertEqual([str(each) for each in session.parse(words)], words)

    def test_the_kernels_of_another_processor_are_a_part_of_their_own(self):
        parts = session.by_programs(session.parse(["6.1@aarch64", "6.1", "6.12@aarch64-16k"]))
        self.assertEqual([[str(each) for each in part] for part in parts],
                         [["6.1"], ["6.1@aarch64", "6.12@aarch64-16k"]])

    def test_an_old_kernel_has_only_the_settings_that_it_knows(self):
        self.assertEqual(settings_for((5, 10, 0, 46)), [TOO_OLD])
        self.assertNotIn("disabled-2", [setting.name for setting in settings_for((6, 1, 0, 57))])
        self.assertEqual(settings_for((6, 12, 117)), SETTINGS)


class Lists(unittest.TestCase):
    """apt itself is not called: it would read the lists of a mirror."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.registry = Registry(Path(scratch.name), "amd64")
        self.updates = 0
        self.registry._sources = lambda: ["deb [signed-by=/key] http://packages.invalid/debian bookworm main"]
        self.registry._apt = self.run_apt
        self.status = 0

    def run_apt(self, *words, cwd=None):
        if words != ("apt-get", "update"):
            return subprocess.CompletedProcess(words, 0, "", "")
        self.updates += 1
        (self.registry.directory / "lists" / "mirror_Packages").touch()
        return subprocess.CompletedProcess(words, self.status, "", "")

    def let_pass(self, seconds):
        sources = self.registry.directory / "sources.list"
        then = sources.stat().st_mtime - seconds
        os.utime(sources, (then, then))

    def test_are_read_once_a_day(self):
        self.registry.search("linux")
        self.registry.search("linux")
        self.assertEqual(self.updates, 1)
        self.let_pass(LISTS_HOLD)
        self.registry.search("linux")
        self.assertEqual(self.updates, 2)
        self.registry.search("linux")
        self.assertEqual(self.updates, 2)

    def test_are_read_again_soon_after_an_error(self):
        self.status = 100
        self.registry.search("linux")
        self.registry.search("linux")
        self.assertEqual(self.updates, 1)
        self.let_pass(RETRY_AFTER)
        self.registry.search("linux")
        self.assertEqual(self.updates, 2)


class Packing(unittest.TestCase):
    def read(self, data):
        """{path: (mode, content)} of an archive in the format "newc"."""
        entries = {}
        at = 0
        while True:
            self.assertEqual(data[at:at + 6], b"070701")
            fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
            name = data[at + 110:at + 110 + fields[11] - 1].decode()
            at += 110 + fields[11]
            at += -at % 4
            content = data[at:at + fields[6]]
            at += fields[6]
            at += -at % 4
            if name == "TRAILER!!!":
                return entries
            entries[name] = (fields[1], content)

    def test_writes_files_behind_the_directories_they_are_in(self):
        archive = Archive()
        archive.link("lib", "usr/lib")
        archive.file("/usr/lib/a.so", b"12345", 0o755)
        archive.character_device("dev/null", 1, 3)
        written = io.BytesIO()
        archive.write(written)
        entries = self.read(written.getvalue())
        self.assertEqual(list(entries), ["lib", "usr", "usr/lib", "usr/lib/a.so", "dev", "dev/null"])
        self.assertEqual(entries["usr/lib/a.so"], (stat.S_IFREG | 0o755, b"12345"))
        self.assertEqual(entries["lib"][1], b"usr/lib")
        self.assertEqual(len(written.getvalue()) % 4, 0)

    def test_takes_the_files_of_another_processor_from_below_a_directory(self):
        with tempfile.TemporaryDirectory() as root:
            for path, target in (("usr/bin/kmod", None), ("usr/sbin/modprobe", "/usr/bin/kmod"),
                                 ("usr/lib/aarch64-linux-gnu/libkmod.so.2", "libkmod.so.2.4"),
                                 ("usr/lib/aarch64-linux-gnu/libkmod.so.2.4", None)):
                file = Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                if target:
                    file.symlink_to(target)
                else:
                    file.write_text(path)
            system = Sysroot(root, (), "/usr/lib/aarch64-linux-gnu")
            with mock.patch.object(kernels.system, "needed", {f"{root}/usr/bin/kmod": ["libkmod.so.2"]}.get):
                self.assertEqual(system.tool("modprobe"), "/usr/sbin/modprobe")
                self.assertEqual(system.file("/usr/sbin/modprobe"), f"{root}/usr/bin/kmod")
                self.assertEqual(system.libraries(f"{root}/usr/bin/kmod"), ["/usr/lib/aarch64-linux-gnu/libkmod.so.2"])
            self.assertEqual(system.file("/usr/lib/aarch64-linux-gnu/libkmod.so.2"),
                             f"{root}/usr/lib/aarch64-linux-gnu/libkmod.so.2.4")
            with self.assertRaises(FileNotFoundError):
                system.tool("mount")


class InTheGuest(unittest.TestCase):
    """guest.Program, with a program of cases that is a script."""

    def results(self, script, cases, seconds=30):
        with tempfile.TemporaryDirectory() as scratch, mock.patch.object(guest, "SCRATCH", scratch):
            program = Path(scratch, "program")
            program.write_text("#!/bin/bash\n" + script)
            program.chmod(0o755)
            line = io.BytesIO()
            plan = {"user": 0, "memlock": None, "seconds_per_case": seconds}
            suite = {"name": "net", "program": str(program), "cases": cases}
            with mock.patch.object(guest.Program, "limit", lambda self: None):
                guest.Program(plan, suite, line).run()
        told = [json.loads(each) for each in line.getvalue().splitlines()]
        return [(each["case"], each["result"]) for each in told], told

    # Runs each chosen case: "crash" and "hang" do so.
    RUNS = r"""
        number=0
        while IFS= read -r name; do
          name=${name#\"} name=${name%\"}
          case $name in
            crash) echo "terminate called" >&2; kill -SEGV $$ ;;
            hang) exec sleep 1000 ;;
            wrong) echo "# x.cpp:7: wrong"; echo "not ok $((++number)) - $name" ;;
            skip) echo "ok $((++number)) - $name # SKIP no privilege" ;;
            *) echo "ok $((++number)) - $name" ;;
          esac
        done <"$4"
        echo "1..$number"
        """

    def test_a_bad_end_behind_the_last_case_is_a_failure(self):
        results, told = self.results(self.RUNS + "\necho 'heap-use-after-free' >&2; exit 1", ["a", "b"])
        self.assertEqual(results, [("a", "passed"), ("b", "passed"), ("the end of the program", "failed")])
        self.assertIn("heap-use-after-free", told[2]["text"])

    def test_a_bad_end_is_told_by_the_case_that_failed(self):
        results, _ = self.results(self.RUNS + "\nexit 42", ["a", "wrong"])
        self.assertEqual(results, [("a", "passed"), ("wrong", "failed")])

    def test_tells_what_came_of_each_case(self):
        results, told = self.results(self.RUNS, ["a", "wrong", "skip", "b"])
        self.assertEqual(results, [("a", "passed"), ("wrong", "failed"), ("skip", "skipped"), ("b", "passed")])
        self.assertIn("x.cpp:7", told[1]["text"])
        self.assertEqual(told[2]["text"], "no privilege")

    def test_goes_on_behind_a_case_that_ends_the_program(self):
        results, told = self.results(self.RUNS, ["a", "crash", "b", "crash", "c"])
        self.assertEqual(results, [("a", "passed"), ("crash", "failed"), ("b", "passed"), ("crash", "failed"),
                                   ("c", "passed")])
        self.assertIn("signal 11", told[1]["text"])
        self.assertIn("terminate called", told[1]["text"])

    def test_a_case_that_hangs_costs_itself(self):
        results, _ = self.results(self.RUNS, ["a", "hang", "b"], seconds=1)
        self.assertEqual(results, [("a", "passed"), ("hang", "hung"), ("b", "passed")])

    def test_a_case_blamed_by_the_program_itself_is_not_blamed_twice(self):
        results, _ = self.results('if grep -q a "$4"; then echo "not ok 1 - a"; echo "1..1"; kill -SEGV $$; fi\n'
                                  'echo "ok 1 - b"; echo "1..1"', ["a", "b"])
        self.assertEqual(results, [("a", "failed"), ("b", "passed")])

    def test_a_program_that_cannot_start_fails_each_case(self):
        results, _ = self.results("exit 127", ["a", "b"])
        self.assertEqual(results, [("a", "failed"), ("b", "failed")])


class Boots(unittest.TestCase):
    """machine.Guest, with boots that are played."""

    def run_with(self, *boots):
        """Each boot is what it tells: (released, [case...])."""
        guest_ = Guest(Kernel("6.1.0-57", Path("/nonexistent")), Setting("root", "root"),
                       {"net": {"program": "/p", "cases": ["a", "b", "c"]}}, [])
        boots = list(boots)

        def boot(run, left):
            run.boots += 1
            released, cases = boots.pop(0)
            run.release = run.release or released
            for case in cases:
                run.results.append(Result("net", case, "passed"))
            return "Oops"

        with mock.patch.object(guest_, "boot", boot):
            return guest_.run()

    def test_one_boot_runs_all(self):
        run = self.run_with(("6.1", ["a", "b", "c"]))
        self.assertEqual((run.boots, len(run.results)), (1, 3))

    def test_a_kernel_that_ends_once_is_booted_for_what_is_left(self):
        run = self.run_with(("6.1", ["a"]), ("6.1", ["b", "c"]))
        self.assertEqual([each.result for each in run.results], ["passed"] * 3)

    def test_a_case_that_ends_the_kernel_twice_fails_and_the_next_is_run(self):
        run = self.run_with(("6.1", ["a"]), ("6.1", []), ("6.1", ["c"]))
        self.assertEqual([(each.case, each.result) for each in run.results],
                         [("a", "passed"), ("b", "failed"), ("c", "passed")])
        self.assertIn("Oops", run.results[1].text)

    def test_a_kernel_that_does_not_boot_is_a_failure(self):
        run = self.run_with(("", []), ("", []))
        self.assertEqual(str(session.outcome_of(run)), "0 passed, 1 failed, 0 skipped")


class Results(unittest.TestCase):
    def run_of(self, *results):
        return Run("6.1.0-57", Setting("user", "an ordinary user"), "6.1.0 (6.1.192-1)",
                   [Result("net", str(number), result, "why") for number, result in enumerate(results)], 12.3, 1)

    def test_are_counted_case_by_case(self):
        outcome = session.outcome_of(self.run_of("passed", "failed", "hung", "skipped", "passed"))
        self.assertEqual(str(outcome), "2 passed, 2 failed, 1 skipped")
        self.assertEqual(len(outcome.reports), 2)
        self.assertEqual(outcome.skips[0][1], "why")

    def test_are_a_row_for_each_run(self):
        lines = session.matrix([self.run_of("passed", "failed", "skipped", "hung")]).splitlines()
        self.assertEqual(lines[2], "| 6.1.0 (6.1.192-1) | an ordinary user |  | 1 / 2 / 1 |  |  | 12 |")
        self.assertEqual({line.count("|") for line in lines[:3]}, {len(FLOORS) + 4})

    def test_a_result_that_was_cut_off_is_no_result(self):
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, "results")
            file.write_text('{"booted": "6.1.0", "built": "#1 Debian 6.1.192-1", "processors": 2, "seconds": 3}\r\n'
                            '{"suite": "net", "case": "a", "result": "passed", "text": "", "seconds": 1}\r\n'
                            '{"suite": "net", "case": "b", "res')
            run = Run("6.1.0-57", SETTINGS[0])
            machine.Guest.read_results(run, file)
        self.assertEqual([each.case for each in run.results], ["a"])
        self.assertEqual(run.release, "6.1.0 (6.1.192-1)")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    unittest.main(verbosity=0)
