"""What tools/test builds and runs: the configurations, and the scripts."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from kernels import sysroot

SOURCE = Path(__file__).resolve().parents[2]


@dataclass
class Configuration:
    name: str
    compiler: str  # "g++" or "clang++"
    about: str
    options: list[str]
    patience: int = 1  # factor on the tests' time limits
    cases: list[str] = field(default_factory=list)  # Catch2 arguments that choose cases; all when empty
    suites: list[str] = field(default_factory=list)  # the only ones that are built and run; all when empty
    everything: bool = False  # builds what no test runs, too
    scripts: list[str] = field(default_factory=list)  # run at the end; their exit status is the result
    settings: dict[str, str] = field(default_factory=dict)  # of the tests' environment
    within: list[Path] = field(default_factory=list)  # the command that runs the tests
    wrapper: list[str] = field(default_factory=list)  # the command that runs each program of tests


# A full run has half an hour on two processors, and building is nearly all of it. So no build has debug information
# (what a sanitizer prints names its functions without it), and no build repeats the tests of another one: the tests of
# the library's floors, which are most of the code, run at -O2 (tests/meson.build) and sanitized; the programs around it
# (the command, the examples, the README's) run at -O2 and -O0; tests/consumer/subproject.sh has clang build the library
# at -O0, sanitized.
FLOORS = ["unit", "net", "fault", "service"]
AROUND = ["tool", "examples", "readme", "guide", "interop", "service"]
OPTIMIZED = ["--buildtype=debugoptimized", "-Ddebug=false"]
# clang and the release compile file by file, as users do, and so find a missing include. The other builds compile
# 14 files of the library at a time, which takes a third of the processor time; all in one file would keep one processor
# of two idle.
UNITY = ["--unity=on", "--unity-size=14"]
# The headers of the test programs (tests/support/precompiled.hpp): saves a fifth to a third of the time of compiling.
PRECOMPILED = "-Db_pch=true"
# GCC's sanitizers take twice as long to compile at -O1 as here, and find no more there.
UNOPTIMIZED = ["--buildtype=debug", "-Ddebug=false", "-Dbench=disabled", *UNITY]
# The harness of the benchmarks, and its tests, come with --all.
GCC = Configuration("gcc", "g++", "-O2", [*OPTIMIZED, *UNITY, PRECOMPILED, "-Dbench=disabled"])
SCRIPTS = ["commands/ahead.py", "commands/completions.py", "commands/containers.py", "commands/counting.py", "commands/floors.py", "commands/kernels.py",
           "commands/language.py", "commands/man_pages.py", "commands/maps.py", "commands/mutants.py", "commands/one_case.py", "commands/probe_points.py", "commands/old_compiler.sh", "commands/set_up.sh",
           "commands/usage.sh", "commands/values.py", "commands/width.py", "parity/check.py", "consumer/symbols.sh",
           "consumer/expected.sh", "consumer/pkg_config.sh", "consumer/probes.sh", "consumer/dlopen.sh", "consumer/dropped.sh", "consumer/traps.sh"]
SLOW_SCRIPTS = ["commands/includes.py", "consumer/abi.sh", "consumer/guide.sh", "consumer/headers.sh", "consumer/no_exceptions.sh", "consumer/subproject.sh", "consumer/cmake.sh",
                "consumer/embedded.sh", "consumer/packaging.sh", "consumer/unity.sh", "model/check.py"]
# They look at the sources alone.
DOCS_SCRIPTS = ["docs/check.py"]
MORE = [
    Configuration("clang", "clang++", "-O2, with the benchmarks", [*OPTIMIZED, PRECOMPILED], everything=True),
    Configuration("gcc-O0", "g++", "-O0, the programs around the library", UNOPTIMIZED, suites=AROUND),
    Configuration("sanitizers", "g++", "-O0, address, undefined",
                  [*UNOPTIMIZED, PRECOMPILED, "-Dtools=disabled", "-Db_sanitize=address,undefined"], patience=4, suites=[*FLOORS, "seeds"]),
    Configuration("threads", "clang++", "thread sanitizer, the cases tagged [threads]",
                  [*UNOPTIMIZED, PRECOMPILED, "-Doptimization=1", "-Dtools=disabled", "-Db_sanitize=thread"], patience=8,
                  cases=["--allow-running-no-tests", "[threads]"], suites=FLOORS),
    # Each target fuzzes for some seconds if it is linked against libFuzzer (tests/fuzz/meson.build).
    Configuration("fuzzers", "clang++", "libFuzzer, address, undefined",
                  [*UNOPTIMIZED, "-Doptimization=1", "-Dtools=disabled", "-Dfuzzing=true",
                   "-Db_sanitize=address,undefined"], suites=["fuzz"]),
    # The last one, so that no build runs beside its benchmark: the harness drops windows in which others compute.
    Configuration("release", "g++", "-O3 without assertions, with the benchmarks",
                  ["--buildtype=release", "-Dtests=disabled"], everything=True,
                  scripts=["commands/quickstart.sh", "commands/bench.sh"]),
]

# The same programs where io_uring is refused: loops run by readiness there.
READINESS = replace(GCC, about="where io_uring is refused: loops run by readiness", suites=[*FLOORS, "examples", "readme", "guide"],
                    within=[SOURCE / "tools/lib/without_io_uring.py"])

# The same programs under memcheck, which knows of each octet whether it was written, and of each block whether it was freed.
# Valgrind does not see what the kernel writes for io_uring, so loops run by readiness. A case takes some thirty times as long
# there: of net come only files that move buffers of every kind.
MEMCHECK = replace(GCC, about="Valgrind's memcheck, loops by readiness", patience=10, settings={"URING6_DRIVER": "readiness"},
                   wrapper=["valgrind", "--quiet", f"--suppressions={SOURCE}/tools/lib/memcheck.supp",
                            "--error-exitcode=99", "--leak-check=full",
                            "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite", "--child-silent-after-fork=yes"])
# Without the cases of several threads, which Valgrind runs one at a time; those that do a thing very often, or whenever in
# the run of an operation, and have a limit of a minute; and those that need what Valgrind replaces: operator new, the
# resolver's files, threads in the child of a fork.
NOT_UNDER_MEMCHECK = "~[threads]" + "".join(f'~"*{part}*"' for part in (
    "million", "hundred thousand", "flood", "whenever the stop comes", "recycler", "child of a fork", "hosts file",
    "a stop that comes while"))
NET_UNDER_MEMCHECK = ["adopt_test", "closing_test", "coalesce_test", "memory_link_test", "read_from_test", "read_races_test",
                      "receive_test", "tcp_race_test", "tcp_test", "train_test", "write_test"]
VALGRIND = [replace(MEMCHECK, suites=["unit"], cases=[NOT_UNDER_MEMCHECK]),
            replace(MEMCHECK, suites=["net"],
                    cases=["-#", ",".join(f"[#{file}]{NOT_UNDER_MEMCHECK}" for file in NET_UNDER_MEMCHECK)])]

# The cases that a release runs longer, built like the first configuration.
LONG = replace(GCC, about="the cases tagged [long], at full length", patience=15, cases=["[long]"],
               suites=["net", "service", "examples"], settings={"URING6_LONG": "1"})


# For a kernel of another processor. Its guest has the libraries of the packages that the programs are built with;
# uring6 itself is linked statically.
CROSS_COMPILER = "aarch64-linux-gnu-g++"
CROSS = Configuration("aarch64", CROSS_COMPILER, "-O2, cross-built",
                      [*OPTIMIZED, "-Dbench=disabled", "-Dtools=disabled", "-Ddefault_library=static",
                       "--cross-file=tools/cross/aarch64.ini",
                       f"--cross-file={sysroot.CROSS_FILE}"], suites=FLOORS)
