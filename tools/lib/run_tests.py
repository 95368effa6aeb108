"""Builds uring6 in several configurations, runs the tests of each and adds up the cases. Called by tools/test."""

import argparse
import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import one_case
from ahead import Build, Builder, BuildFailed, Progress
from outcome import CASE_BEGINS, Outcome, failure, of_program, of_tap, skip

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tools"))
from configurations import (CROSS, CROSS_COMPILER, DOCS_SCRIPTS, FLOORS, GCC, LONG, MORE, READINESS, SCRIPTS,  # noqa: E402
                            SLOW_SCRIPTS, VALGRIND)
from kernels import session, sysroot  # noqa: E402
from kernels.processor import Unavailable  # noqa: E402

SECONDS_PER_SCRIPT = 900
SEEDS = 100_000  # of the step "seeds"
SECONDS_PER_SEED = 0.02  # the limit of a run; on an idle machine a seed takes a fortieth of it
SANITIZER_SETTINGS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:second_deadlock_stack=1",
}


class Runner:
    def __init__(self, dry_run):
        self.dry_run = dry_run
        self.total = Outcome()
        self.progress = Progress(sys.stdout)
        self.builder = Builder(self.progress)
        self.builds = {}
        self.times = []
        self.compilers = {"g++": "g++", "clang++": newest_clang(),
                          CROSS_COMPILER: CROSS_COMPILER if shutil.which(CROSS_COMPILER) else None}

    # ---- the steps: each counts what it ran, and a failed one does not hide the next --------------------------

    def test(self, configuration):
        def run(build):
            outcome = Outcome()
            try:
                for tests in build.take():
                    outcome += self.run_meson_tests(configuration, tests)
                outcome += self.run_scripts(configuration.scripts, directory_of(configuration))
            except BuildFailed as error:
                outcome += failure(f"{configuration.name}: the build", str(error))
            return outcome
        self.step(configuration, run)

    def test_again(self, name, *configurations):
        """The programs of the first configuration once more, in other circumstances."""
        def run(build):
            build.finish()
            outcome = Outcome()
            for configuration in configurations:
                tests = chosen_tests(configuration, directory_of(configuration))
                if tests or self.dry_run:
                    outcome += self.run_meson_tests(configuration, tests)
            return outcome

        if missing := [each.wrapper[0] for each in configurations if each.wrapper and not shutil.which(each.wrapper[0])]:
            if not self.dry_run:
                return self.report(name, skip(name, f"found no {missing[0]}"), 0)
        self.step(GCC, run, name, configurations[0].about)

    def test_by_scripts(self, name, scripts):
        """The scripts check the build of the first configuration."""
        def run(build):
            build.finish()
            return self.run_scripts(scripts, directory_of(GCC))
        self.step(GCC, run, name, "the library installed and used, the commands themselves")

    def test_without_build(self, name, scripts, about):
        self.progress.say(f"==> {name} ({about})")
        started = time.monotonic()
        self.report(name, self.run_scripts(scripts, directory_of(GCC)), time.monotonic() - started)

    def test_kernels(self, words):
        """The programs of the first configuration on other kernels, booted under QEMU; cross-built programs on those of
        another processor."""
        for chosen in session.by_programs(session.parse(words)):
            processor = chosen[0].processor
            configuration = CROSS if processor.emulator else replace(GCC, suites=FLOORS)
            try:
                if not self.dry_run:
                    sysroot.system_of(processor)
            except Unavailable as reason:
                self.report("kernels", skip(f"kernels for {processor.name}", str(reason)), 0)
                continue
            self.step(configuration, functools.partial(self.run_kernels, chosen, directory_of(configuration)), "kernels",
                      f"under QEMU: {' '.join(str(each) for each in chosen)}")

    def run_kernels(self, chosen, directory, build):
        build.finish()
        return Outcome() if self.dry_run else session.run(chosen, directory)

    def test_seeds(self, count):
        """Public operations against each other, under the schedules of so many seeds."""
        def run(build):
            build.finish()
            command = [SOURCE / directory_of(GCC) / "tests/schedule/schedules", "--seeds", count, "--jobs", os.cpu_count() or 1]
            if self.dry_run:
                self.command(command)
                return Outcome()
            self.progress.tests("schedules")
            outcome = run_program(f"{count} seeds", command, {}, SECONDS_PER_SEED * count)
            self.progress.tests("")
            return outcome
        self.step(GCC, run, "seeds", f"{count} seeds, each a legal schedule of a kernel")

    def test_case(self, text):
        """The cases with the text in their names, in a program of the files with these cases."""
        print(f"==> case {text!r} (g++, {GCC.about})", flush=True)
        started = time.monotonic()
        try:
            self.configure(GCC, self.command)
            if self.dry_run:
                return
            program = one_case.build(text, directory_of(GCC), SOURCE / "tests")
            outcome = self.run_case(program, text) if program else failure(text, "no case has such a name")
        except (BuildFailed, subprocess.CalledProcessError) as error:
            outcome = failure(f"{text}: the build", str(error))
        self.report("case", outcome, time.monotonic() - started)

    def run_case(self, program, text):
        pattern = "*" + re.sub(r'([\\,\[\]*"])', r"\\\1", text) + "*"
        result = subprocess.run([program, pattern, "--reporter", "cases"], env=os.environ | SANITIZER_SETTINGS,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        print("".join(line for line in result.stdout.splitlines(True) if not line.startswith(CASE_BEGINS)), end="")
        return of_tap(text, result.returncode, False, result.stdout, result.stderr)

    def step(self, configuration, run, name="", about=""):
        name = name or configuration.name
        compiler = self.compilers[configuration.compiler] or (configuration.compiler if self.dry_run else None)
        self.progress.say(f"==> {name} ({about or f'{compiler}, {configuration.about}'})")
        started = time.monotonic()
        try:
            if compiler:
                outcome = run(self.build_of(configuration))
            else:
                since = " from version 16 on" if configuration.compiler == "clang++" else ""
                outcome = skip(name, f"found no {configuration.compiler}{since}")
            if not self.dry_run and outcome == Outcome():
                outcome = failure(name, "there was nothing to run")
        except BuildFailed as error:
            outcome = failure(f"{name}: the build", str(error))
        self.report(name, outcome, time.monotonic() - started)

    # ---- their parts ------------------------------------------------------------------------------------------

    def build_of(self, configuration):
        """The build of a configuration, which is begun now if build_ahead was not called for it."""
        key = (configuration.name, *configuration.suites)
        if key not in self.builds:
            build = Build(configuration.name, functools.partial(self.make, configuration))
            self.builds[key] = build
            if self.dry_run:
                for piece in build.make(build):
                    build.pieces.put(piece)
                build.pieces.put(None)
            else:
                self.builder.submit(build)
        return self.builds[key]

    def build_ahead(self, configurations):
        for configuration in configurations:
            if not self.dry_run and self.compilers[configuration.compiler]:
                self.build_of(configuration)

    def make(self, configuration, build):
        """Builds the tests suite by suite, and yields the tests of a suite when their programs are built."""
        def command(words, settings=None):
            if self.dry_run:
                self.command(words, settings)
            else:
                self.builder.run(build, [str(word) for word in words], settings or {})

        directory = self.configure(configuration, command)
        tests = chosen_tests(configuration, directory)
        for suite in dict.fromkeys(test["suite"][0] for test in tests):
            of_suite = [test for test in tests if test["suite"][0] == suite]
            command(["ninja", "-C", directory, *targets_of(of_suite, directory)])
            yield of_suite
        if configuration.everything or not tests:
            command(["ninja", "-C", directory])
        if self.dry_run and not tests and "-Dtests=disabled" not in configuration.options:
            yield []

    def configure(self, configuration, command):
        build = directory_of(configuration)
        compiler = self.compilers[configuration.compiler]
        options = ["-Dwerror=true", "--wrap-mode=nodownload", *configuration.options]
        # Configured anew when the options in this file or the optional parts of the machine have changed, not on
        # every run.
        stamp = build / "configured-with"
        wanted = shlex.join([compiler, *options, *([] if self.dry_run else optional_parts())])
        if not stamp.exists() or stamp.read_text() != wanted:
            wipe = ["--wipe"] if (build / "build.ninja").exists() else []
            command(["meson", "setup", *wipe, build, *options], {"CXX": compiler})
            if not self.dry_run:
                stamp.write_text(wanted)
        return build

    def run_meson_tests(self, configuration, tests):
        build = directory_of(configuration)
        command = [*configuration.within, "meson", "test", "-C", build, "--no-rebuild", "--timeout-multiplier", configuration.patience]
        if configuration.wrapper:
            command += ["--wrapper", shlex.join(configuration.wrapper)]
        if configuration.cases:
            command += ["--test-args", shlex.join(configuration.cases)]
        command += [test["name"] for test in tests]
        if self.dry_run:
            self.command(command, configuration.settings)
            return Outcome()
        suites = dict.fromkeys(test["suite"][0].partition(":")[2] for test in tests)
        self.progress.tests(f"{configuration.name}/{'+'.join(suites)}")
        log = build / "meson-logs" / f"testlog{''.join('-' + Path(word).name for word in configuration.wrapper[:1])}.json"
        log.unlink(missing_ok=True)
        result = subprocess.run([str(word) for word in command], env=os.environ | SANITIZER_SETTINGS | configuration.settings,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.progress.tests("")
        if not log.exists():
            return failure(f"{configuration.name}: meson test", result.stdout)
        outcome = Outcome()
        for line in log.read_text().splitlines():
            outcome += of_log_entry(json.loads(line), tests, len(configuration.wrapper))
        return outcome

    def run_scripts(self, scripts, build):
        outcome = Outcome()
        for script in scripts:
            outcome += self.run_script(script, build)
        return outcome

    def run_script(self, script, build):
        if self.dry_run:
            self.command([f"tests/{script}"])
            return Outcome()
        self.progress.tests(script)
        with tempfile.TemporaryDirectory(prefix="uring6-") as scratch:
            settings = {"SOURCE": str(SOURCE), "BUILD": str(SOURCE / build), "SCRATCH": scratch,
                        "GXX": self.compilers["g++"], "CLANGXX": self.compilers["clang++"] or ""}
            outcome = run_program(script, [SOURCE / "tests" / script], settings)
        self.progress.tests("")
        return outcome

    def command(self, words, settings=None):
        words = [str(word) for word in words]
        settings = settings or {}
        if self.dry_run:
            print("  $ " + " ".join([*(f"{key}={value}" for key, value in settings.items()), shlex.join(words)]))
            return
        result = subprocess.run(words, env=os.environ | settings,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            raise BuildFailed("\n".join([f"$ {shlex.join(words)}", *result.stdout.splitlines()[-300:]]))

    def report(self, name, outcome, seconds):
        if self.dry_run:
            return
        self.total += outcome
        for text in outcome.reports:
            self.progress.say(text)
        cases_by_reason = {}
        for case, reason in outcome.skips:
            cases_by_reason.setdefault(reason, []).append(case)
        for reason, cases in cases_by_reason.items():
            self.progress.say(f"    skipped, {reason}: {', '.join(cases)}")
        self.times.append((name, seconds))
        self.progress.say(f"    {name}: {outcome} ({seconds:.0f} s)")

    def end(self):
        """The times of all steps, and the sum of the cases. A step's time is without what was built during the one before."""
        self.progress.end()
        if self.dry_run:
            return
        if len(self.times) > 1:
            print("wall time: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.times))
        if building := [build for build in self.builds.values() if build.processor_seconds >= 1]:
            print("processor time of the builds: " +
                  ", ".join(f"{build.name} {build.processor_seconds:.0f} s" for build in building))
        print(self.total)


def newest_clang():
    """The newest clang++ from version 16 on, or None."""
    for version in range(40, 15, -1):
        if shutil.which(f"clang++-{version}"):
            return f"clang++-{version}"
    if shutil.which("clang++"):
        version = subprocess.run(["clang++", "-dumpversion"], capture_output=True, text=True).stdout
        if int(version.partition(".")[0] or 0) >= 16:
            return "clang++"
    return None


@functools.cache
def optional_parts():
    """The installed optional parts of tests and benchmarks. Meson looks for them when a build is configured, and
    __has_include when a file is compiled: neither notices a later installation."""
    def succeeds(*words, source="", **settings):
        try:
            return subprocess.run(words, input=source, text=True, env=os.environ | settings,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        except FileNotFoundError:
            return False

    found = [header for header in ("asio.hpp", "stdexec/execution.hpp", "uv.h")
             if succeeds("g++", "-E", "-x", "c++", "-", source=f"#if !__has_include(<{header}>)\n#error\n#endif\n")]
    if succeeds("pkg-config", "--exists", "stdexec"):
        found.append("stdexec.pc")
    if succeeds("go", "list", "golang.org/x/net/ipv6", GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS=""):
        found.append("golang.org/x/net")
    return found


def of_log_entry(entry, tests, words_of_wrapper):
    """The outcome of one line of Meson's testlog.json; `tests` is Meson's introspection of the tests."""
    command = entry["command"][words_of_wrapper:]
    protocol = next((test["protocol"] for test in tests if command[:len(test["cmd"])] == test["cmd"]), "")
    judge = of_tap if protocol == "tap" else of_program
    return judge(entry["name"], entry["returncode"], entry["result"] == "TIMEOUT",
                 entry.get("stdout") or "", entry.get("stderr") or "")


def introspected(build, what):
    """Nothing when a dry run left the directory unconfigured."""
    path = build / "meson-info" / f"intro-{what}.json"
    return json.loads(path.read_text()) if path.exists() else []


def directory_of(configuration):
    return Path("build") / f"test-{configuration.name}"


def targets_of(tests, build):
    """Ninja's targets for the tests."""
    wanted = {target for test in tests for target in test["depends"]}
    return [str(Path(file).relative_to(SOURCE / build)) for target in introspected(build, "targets")
            if target["id"] in wanted for file in target["filename"]]


def chosen_tests(configuration, build):
    """The chosen tests in Meson's introspection."""
    tests = introspected(build, "tests")
    if configuration.suites:
        wanted = {f"uring6:{suite}" for suite in configuration.suites}
        tests = [test for test in tests if wanted & set(test["suite"])]
    if configuration.cases:
        tests = [test for test in tests if test["protocol"] == "tap"]
    return tests


def run_program(name, command, settings, more_seconds=0.0):
    seconds = SECONDS_PER_SCRIPT + more_seconds
    # In a process group of its own, so that a time-out ends the programs that it started, too.
    try:
        process = subprocess.Popen([str(word) for word in command], env=os.environ | settings, start_new_session=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except OSError as error:  # not there, not executable
        return of_program(name, 1, False, str(error), "")
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return of_program(name, None, True, output, "")
    return of_program(name, process.returncode, False, "\n".join(output.splitlines()[-200:]), "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--kernels", nargs="*")
    parser.add_argument("--case")
    parser.add_argument("--seeds", type=int)
    arguments = parser.parse_args()

    os.chdir(SOURCE)
    # What ccache needs to work with precompiled headers, as its manual says; without it, it compiles each time.
    os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")
    runner = Runner(arguments.dry_run)
    steps = {"gcc": lambda: runner.test(GCC),
             "scripts": lambda: runner.test_by_scripts("scripts", SCRIPTS)}
    if arguments.all or arguments.only:
        steps["readiness"] = lambda: runner.test_again("readiness", READINESS)
        steps["valgrind"] = lambda: runner.test_again("valgrind", *VALGRIND)
        steps["seeds"] = lambda: runner.test_seeds(SEEDS)
        steps["slow-scripts"] = lambda: runner.test_by_scripts("slow-scripts", SLOW_SCRIPTS)
        steps["docs"] = lambda: runner.test_without_build("docs", DOCS_SCRIPTS, "the site, its names and its links")
        for configuration in MORE:
            steps[configuration.name] = lambda configuration=configuration: runner.test(configuration)
    if arguments.only:
        steps["kernels"] = lambda: runner.test_kernels(session.QUICK)
        if arguments.only not in steps:
            parser.error(f"there is no configuration {arguments.only}; there are {', '.join(steps)}")
        steps = {arguments.only: steps[arguments.only]}
    if arguments.long:
        steps = {"long": lambda: runner.test(LONG)}
    if arguments.kernels is not None:
        try:
            session.parse(arguments.kernels)
        except session.UnknownWord as error:
            parser.error(str(error))
        steps = {"kernels": lambda: runner.test_kernels(arguments.kernels)}
    if arguments.seeds is not None:
        if arguments.seeds < 1:
            parser.error("--seeds takes a number from 1 on")
        steps = {"seeds": lambda: runner.test_seeds(arguments.seeds)}
    if arguments.case is not None:
        steps = {"case": lambda: runner.test_case(arguments.case)}
    if arguments.all:
        runner.build_ahead([GCC, *MORE])
    for number in (signal.SIGTERM, signal.SIGHUP):  # the end of this program has to end the compilers
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        for step in steps.values():
            step()
    finally:
        runner.builder.stop()
    runner.end()
    return 1 if runner.total.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
