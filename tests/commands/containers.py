#!/usr/bin/env python3
"""What can be checked of Containerfile and .devcontainer without a program that builds images: the base images, the
packages, the options of the build, the command, and that no host is named.

Builds and runs nothing in a container; docs/guide/containers.md says how."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(os.environ.get("SOURCE", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("BUILD", SOURCE / "build/dev"))
BASE = "debian:12-slim"
WORDS = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "CMD"}
complaints = []


def check(holds, text):
    if not holds:
        complaints.append(text)


def instructions(text):
    """Pairs of an instruction's word and the rest of it."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def installed_by(script):
    found = re.search(r"apt-get install -y --no-install-recommends ([^&]*)", script)
    return set(found[1].split()) if found else set()


def packages_to_build():
    """Those of the group "build" on Debian 12."""
    lines = (SOURCE / "tools/lib/packages").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith("build ")}


def packages_at_run_time():
    """Those that have the libraries of the built command, without what each image of Debian has. None: unknown here."""
    system = Path("/etc/os-release")
    command, library = BUILD / "tools/uring6", BUILD / "lib/liburing6.so"
    if not system.exists() or 'VERSION_ID="12"' not in system.read_text() or not (command.exists() and library.exists()):
        return None
    asked = subprocess.run(["ldd", command, library], capture_output=True, text=True).stdout
    packages = set()
    for path in set(re.findall(r"=> (/\S+) \(", asked)):
        if str(BUILD.resolve()) not in path:
            # dpkg knows the file by its path before /lib became a link to /usr/lib, or by that after.
            for each in (path, path.removeprefix("/usr"), "/usr" + path):
                owner = subprocess.run(["dpkg-query", "-S", each], capture_output=True, text=True).stdout
                packages |= {owner.split(":")[0]} if owner else set()
    return packages - {"libc6", "libgcc-s1", "libstdc++6", "gcc-12-base"}


def check_image():
    text = (SOURCE / "Containerfile").read_text()
    steps = instructions(text)
    check({word for word, _ in steps} <= WORDS, "Containerfile: an instruction that this check does not know")
    bases = [rest.split()[0] for word, rest in steps if word == "FROM"]
    check(bases == [BASE, BASE], f"Containerfile: the stages are of {bases}")
    check(not re.search(r"https?:|/etc/apt|\bmirror\b", text), "Containerfile names a host or a package source")

    scripts = [rest for word, rest in steps if word == "RUN"]
    for script in scripts:
        parsed = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True)
        check(parsed.returncode == 0, f"Containerfile: sh does not read {script!r}: {parsed.stderr}")
    with_packages = [packages for packages in map(installed_by, scripts) if packages]
    check(len(with_packages) == 2, "Containerfile: each of two stages installs packages")
    if len(with_packages) == 2:
        wanted = packages_to_build()
        check(with_packages[0] == wanted, f"Containerfile: packages to build differ: {sorted(with_packages[0] ^ wanted)}")
        if (wanted := packages_at_run_time()) is None:
            print("not compared here: the packages at run time (Debian 12 with a build)")
        else:
            check(with_packages[1] == wanted, f"Containerfile: packages at run time differ: {sorted(with_packages[1] ^ wanted)}")

    setup = [re.search(r"meson setup \S+ ([^&]*)", script) for script in scripts if "meson setup" in script]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(["meson", "setup", scratch, SOURCE, *shlex.split(setup[0][1])], capture_output=True, text=True)
        check(done.returncode == 0, f"Containerfile: meson refuses its options: {done.stdout[-2000:]}")

    copied = [rest.split()[0] for word, rest in steps if word == "COPY" and not rest.startswith("--from")]
    check(copied == ["."], f"Containerfile copies {copied}")
    command = json.loads(next(rest for word, rest in steps if word == "CMD"))
    check(command == ["uring6", "demo"], f"Containerfile runs {command}")


def check_development():
    settings = json.loads((SOURCE / ".devcontainer/devcontainer.json").read_text())
    check(settings["image"] == BASE.removesuffix("-slim"), f"devcontainer.json is of {settings['image']}")
    script = SOURCE / settings["postCreateCommand"]
    check(os.access(script, os.X_OK), f"devcontainer.json: {script} cannot be executed")


check_image()
check_development()
for complaint in complaints:
    print(complaint)
sys.exit(1 if complaints else 0)
