#!/usr/bin/env python3
"""docs/parity.md agrees with the code: each uring6 name that it gives is declared in include/, in the type that it names; each
test that it names is a test; it answers each request of tests/parity/requests and no other; and, where Go's packages
are installed, each identifier and each field of a structure that they export has a row."""

import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from declarations import declared_names

SOURCE = Path(os.environ.get("SOURCE", Path(__file__).resolve().parents[2]))
GO = Path("/usr/share/gocode/src/golang.org/x/net")
PACKAGES = ["ipv6", "icmp", "bpf"]
# Methods of unexported types that ipv6.PacketConn and ipv6.Conn embed.
EMBEDDED = {"dgramOpt": ["PacketConn"], "genericOpt": ["Conn", "PacketConn"], "payloadHandler": ["PacketConn"]}
OTHER_SYSTEMS = re.compile(r"_test\.go$|windows|bsd|darwin|solaris|zos|aix|stub|defs_|helper_")
REQUEST = re.compile(r"(?:([a-z][\w-]*(?:/[\w-]+)?) )?(PR )?(\d+)(?=[,:;])")

complaints = []


def rows(text):
    """(line number, heading of the section, Go, uring6, test) of each row of a table."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "Go":
            yield number, section, *cells


def requests_in(cell):
    """The requests that a row answers: "golang/go 41820", "golang/net PR 81"."""
    return [f"{repository or 'golang/go'} {pull}{number}" for repository, pull, number in REQUEST.findall(cell)]


def listed_requests():
    lines = (SOURCE / "tests/parity/requests").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def names_of_tests():
    names = set()
    for path in (SOURCE / "tests").rglob("*.cpp"):
        names.update(re.findall(r'TEST_CASE\(\s*"((?:[^"\\]|\\.)*)"', path.read_text()))
    return names


def fields(name, body):
    """The exported fields of a structure, by what stands before their type; embedded ones have no name."""
    for line in body.splitlines():
        found = re.match(r"\t([A-Z]\w*(?:, [A-Z]\w*)*)\s+[\w\[*]", line)
        if found:
            yield from (f"{name}.{field}" for field in found[1].split(", "))


def exported(package):
    """What a Go package exports, as Type, Type.Method, Type.Field or Function."""
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
        for name, body in re.findall(r"^type ([A-Z]\w*) struct \{\n(.*?)^\}", text, re.M | re.S):
            yield from fields(name, body)
        for name, of in re.findall(r"^type ([A-Z]\w*) = socket\.(\w+)", text, re.M):
            inside = (GO / "internal/socket/socket.go").read_text()
            yield from fields(name, re.search(rf"^type {of} struct \{{\n(.*?)^\}}", inside, re.M | re.S)[1])


def check_uring6(number, cell, declared):
    for name in re.findall(r"`([^`]+)`", cell):
        bare = re.sub(r"\(.*\)", "", name).strip()
        parts = tuple(bare.split("::"))
        if not any(each[-len(parts):] == parts for each in declared):
            complaints.append(f"line {number}: no header declares {name}")


def check_test(number, go, cell, tests):
    named = re.findall(r'"([^"]+)"', cell)
    files = re.findall(r"`([^`]+)`", cell)
    if not named and not files:
        complaints.append(f"line {number}: {go} has no test")
    for name in named:
        if name not in tests:
            complaints.append(f'line {number}: there is no test "{name}"')
    for name in files:
        if not name.startswith(("tests/", "meson.build")) or not (SOURCE / name).exists():
            complaints.append(f"line {number}: {name} is no test")


def check_requests(answered):
    listed = listed_requests()
    for request in sorted(set(listed) - set(answered)):
        complaints.append(f"{request} has no row")
    for request in sorted(set(answered) - set(listed)):
        complaints.append(f"{request} is not in tests/parity/requests")
    for kind in (listed, answered):
        for request in sorted({each for each in kind if kind.count(each) > 1}):
            complaints.append(f"{request} stands twice in {'tests/parity/requests' if kind is listed else 'the rows'}")


def check():
    text = (SOURCE / "docs/parity.md").read_text()
    declared = set()
    for path in (SOURCE / "include").rglob("*.hpp"):
        declared |= declared_names(path.read_text())
    tests = names_of_tests()
    given = set()
    answered = []
    count = 0
    for number, section, go, uring6, test in rows(text):
        count += 1
        given.update(re.findall(r"`([^`]+)`", go))
        if "users ask for" in section:
            answered += requests_in(go)
        if test == "open":
            complaints.append(f"line {number}: {go} is open")
            continue
        check_uring6(number, uring6, declared)
        check_test(number, go, test, tests)
    if count < 100:
        complaints.append(f"only {count} rows were read")
    check_requests(answered)
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
