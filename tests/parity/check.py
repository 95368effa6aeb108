#!/usr/bin/env python3
"""docs/parity.md: each uring6 name that it gives stands in include/, each test that it names is a test, and, where Go's
packages are installed, each identifier that they export has a row."""

import os
import re
import sys
from pathlib import Path

SOURCE = Path(os.environ.get("SOURCE", Path(__file__).resolve().parents[2]))
GO = Path("/usr/share/gocode/src/golang.org/x/net")
PACKAGES = ["ipv6", "icmp", "bpf"]
# Methods of unexported types that ipv6.PacketConn and ipv6.Conn embed.
EMBEDDED = {"dgramOpt": ["PacketConn"], "genericOpt": ["Conn", "PacketConn"], "payloadHandler": ["PacketConn"]}
OTHER_SYSTEMS = re.compile(r"_test\.go$|windows|bsd|darwin|solaris|zos|aix|stub|defs_|helper_")

complaints = []


def rows(text):
    """(line number, Go, uring6, test) of each row of a table."""
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "Go":
            yield number, *cells


def words_of_headers():
    return [set(re.findall(r"\w+", path.read_text())) for path in (SOURCE / "include").rglob("*.hpp")]


def names_of_tests():
    names = set()
    for path in (SOURCE / "tests").rglob("*.cpp"):
        names.update(re.findall(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"', path.read_text()))
    return names


def exported(package):
    """What a Go package exports, as Type, Type.Method or Function."""
    for path in sorted((GO / package).glob("*.go")):
        if OTHER_SYSTEMS.search(path.name):
            continue
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        for receiver, name in re.findall(r"^func (?:\(\w*\s*\*?(\w+)\) )?([A-Z]\w*)\(", text, re.M):
            for owner in EMBEDDED.get(receiver, [receiver]):
                yield f"{owner}.{name}" if owner else name
        yield from re.findall(r"^(?:type|const|var) ([A-Z]\w*)", text, re.M)
        for block in re.findall(r"^(?:const|var) \((.*?)^\)", text, re.M | re.S):
            yield from re.findall(r"^\t([A-Z]\w*)", block, re.M)


def check():
    text = (SOURCE / "docs/parity.md").read_text()
    headers = words_of_headers()
    tests = names_of_tests()
    given = set()
    count = 0
    for number, go, uring6, test in rows(text):
        count += 1
        given.update(re.findall(r"`([^`]+)`", go))
        if test == "open":
            print(f"open: {go}")
            continue
        for name in re.findall(r"`([^`]+)`", uring6):
            parts = set(re.findall(r"\w+", re.sub(r"\(.*\)", "", name)))
            if not any(parts <= words for words in headers):
                complaints.append(f"line {number}: no header has {name}")
        named = re.findall(r'"([^"]+)"', test)
        files = re.findall(r"`([^`]+)`", test)
        if not named and not files:
            complaints.append(f"line {number}: {go} has no test")
        for name in named:
            if name not in tests:
                complaints.append(f'line {number}: there is no test "{name}"')
        for name in files:
            if not (SOURCE / name).exists():
                complaints.append(f"line {number}: there is no {name}")
    if count < 100:
        complaints.append(f"only {count} rows were read")
    for package in PACKAGES:
        if not (GO / package).is_dir():
            print(f"whether {package} is complete is not known: there is no {GO / package} (golang-golang-x-net-dev)")
            continue
        for name in sorted(set(exported(package))):
            if f"{package}.{name}" not in given:
                complaints.append(f"{package}.{name} has no row")


check()
for complaint in complaints:
    print(f"docs/parity.md: {complaint}", file=sys.stderr)
sys.exit(1 if complaints else 0)
