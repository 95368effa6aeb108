#!/usr/bin/env python3
"""The shells complete the options and subcommands that `uring6 --help` shows, and interfaces behind --interface; and the man
page uring6(1) has each of these options, and no other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ.get("SOURCE", Path(__file__).resolve().parents[2]))
COMPLETION = SOURCE / "tools/uring6/completion"
COMMAND = Path(os.environ.get("BUILD", SOURCE / "build/dev")) / "tools/uring6"
ENVIRONMENT = os.environ | {"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
INTERFACES = sorted(path.name for path in Path("/sys/class/net").iterdir())

failures = 0


def check(what, found, wanted):
    global failures
    if sorted(found) != sorted(wanted):
        print(f"{what}: {sorted(found)} instead of {sorted(wanted)}")
        failures += 1


def help_of(*words):
    return subprocess.run([COMMAND, *words, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout


def options_of(text):
    """-c and --count of "  -c,--count UINT:..."."""
    return [name for line in re.findall(r"^  (-[^ \n]*(?:, *--[\w-]+)?)", text, re.M) for name in re.split(r", *", line) if name]


def subcommands_of(text):
    return re.findall(r"^  ([a-z][\w-]*) ", text.partition("Subcommands:")[2].partition("\n\n")[0], re.M)


def run(*words):
    done = subprocess.run(words, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"{words[0]} ends with {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout.splitlines()


def bash(*words):
    return run("bash", "--norc", "-c", 'source "$0"; COMP_WORDS=(uring6 "$@"); COMP_CWORD=$#; _uring6; '
               'for each in "${COMPREPLY[@]}"; do echo "$each"; done', COMPLETION / "uring6.bash", *words)


def fish(*words):
    line = " ".join(["uring6", *words])
    found = run("fish", "--no-config", "-c", f"source {COMPLETION / 'uring6.fish'}; complete -C '{line}'")
    return [each.split("\t")[0] for each in found]


def zsh(*words):
    """Outside of its editor zsh has no compadd and no _describe: these show what they are given."""
    script = ('compadd() { print -l -- ${(P)@[-1]} }; _describe() { print -l -- ${(P)@[-1]} }; words=(uring6 "$@"); '
              'CURRENT=$(($# + 1)); source "$0"')
    found = run("zsh", "-f", "-c", script, COMPLETION / "_uring6", *words)
    for each in found:
        if ":" in each and not each.partition(":")[2].strip():
            check("zsh", [each], ["a description"])
    return [each.split(":")[0] for each in found]


def check_shell(shell, commands):
    name = shell.__name__
    check(f"{name}: uring6", shell(""), commands)
    check(f"{name}: uring6 -", shell("-"), options_of(help_of()))
    for command in commands:
        options = options_of(help_of(command))
        check(f"{name}: uring6 {command} -", shell(command, "-"), options)
        if "--interface" in options:
            check(f"{name}: uring6 {command} --interface", shell(command, "--interface", ""), INTERFACES)


def check_manual(commands):
    """Each list item of a section of the man page names an option: `.It Fl c , Fl -count Ar number`."""
    sections = dict(re.findall(r"^\.S[hs] (\S[^\n]*)\n(.*?)(?=^\.S[hs] |\Z)", (SOURCE / "docs/man/uring6.1").read_text(), re.M | re.S))
    for name, section in [("DESCRIPTION", "DESCRIPTION")] + [(command, f"uring6 {command}") for command in commands]:
        text = sections.get(section, "")
        found = [f"-{each}" for line in re.findall(r"^\.It (Fl .*)", text, re.M) for each in re.findall(r"Fl (\S+)", line)]
        wanted = options_of(help_of(*([] if name == "DESCRIPTION" else [name])))
        check(f"uring6(1), {section}", found, [each for each in wanted])


def main():
    if not COMMAND.exists():
        print(f"there is no {COMMAND}: the tools are not built")
        return 77
    commands = subcommands_of(help_of())
    if len(commands) < 2 or "--help" not in options_of(help_of()):
        sys.exit("the help could not be read")
    check_manual(commands)
    check_shell(bash, commands)
    absent = [shell.__name__ for shell in (fish, zsh) if not shutil.which(shell.__name__)]
    for shell in (fish, zsh):
        if shell.__name__ not in absent:
            check_shell(shell, commands)
    if not failures and absent:
        print(f"bash completes; there is no {' and no '.join(absent)} (tools/lib/packages, group docs)")
        return 77
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
