"""Builds and runs the cases of the library's tests with a text in their names: one program of the few files with these
cases, instead of the programs of all cases."""

import json
import re
import shlex
import subprocess
from pathlib import Path

SUITES = ("unit", "net", "fault")
CASE = re.compile(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')


def names_in(source):
    """The names of the cases in the text of a test file. A name may be written in several pieces."""
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', pieces)) for pieces in CASE.findall(source)]


def files_with(text, tests):
    """(suite, file) of each test file that has a case with the text in its name."""
    found = []
    for suite in SUITES:
        for file in sorted((tests / suite).rglob("*_test.cpp")):
            if any(text in name for name in names_in(file.read_text(encoding="utf-8"))):
                found.append((suite, file))
    return found


def objects_of(files, build):
    """The object files that Meson's build directory makes of these, in the order of the files."""
    commands = json.loads((build / "compile_commands.json").read_text())
    made_of = {(build / command["file"]).resolve(): command["output"] for command in commands
               if command["output"].startswith("tests/test-")}
    return [made_of[file.resolve()] for _, file in files]


def link_command(link_of_all, objects, output):
    """The command that links a whole suite's program, with these objects instead of its own."""
    words = shlex.split(link_of_all)
    place = words.index("-o")
    rest = [word for word in words[place + 2:] if not word.endswith(".o")]
    return [*words[:place], "-o", output, *objects, *rest]


def build(text, build_directory, tests):
    """Returns the program, or nothing where no case has such a name. Throws CalledProcessError where it does not build."""
    files = files_with(text, tests)
    if not files:
        return None
    objects = objects_of(files, build_directory)
    subprocess.run(["ninja", "-C", build_directory, "lib/liburing6-objects.a", "tests/libtest-support.a", *objects],
                   check=True)
    # All suites are linked in the same way, so the command of any suite fits.
    commands = subprocess.run(["ninja", "-C", build_directory, "-t", "commands", "tests/test-unit"], check=True,
                              capture_output=True, text=True).stdout.splitlines()
    program = Path("tests/one-case")
    subprocess.run(link_command(commands[-1], objects, str(program)), check=True, cwd=build_directory)
    return build_directory / program
