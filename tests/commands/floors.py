#!/usr/bin/env python3
"""Each floor of lib/ includes only itself and floors below it and names no class of a floor above it, the rooms of lib/net
likewise, public headers include nothing of lib/, and liburing.h is included where docs/design.md says."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BELOW = {
    "ipv6": {"ipv6"},
    "sys": {"sys", "ipv6"},
    "uring": {"uring", "sys", "ipv6"},
    "runtime": {"runtime", "uring", "sys", "ipv6"},
    "net": {"net", "runtime", "uring", "sys", "ipv6"},
}
# The rooms of lib/net, bottom up; those at the top include nothing of each other.
ROOMS = {
    "socket": {"socket"},
    "kernel": {"kernel"},
    "receive": {"receive", "socket", "kernel"},
    "send": {"send", "receive", "socket", "kernel"},
    "packet": {"packet", "send", "receive", "socket", "kernel"},
    "tcp": {"tcp", "socket", "kernel"},
    "memory": {"memory", "socket"},
    "handover": {"handover", "packet", "tcp", "send", "receive", "socket", "kernel"},
}
# Operations fill their submission entries by lib/uring/submission.hpp.
LIBURING = "lib/uring"
OURS = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
DECLARED = re.compile(r"^(?:class|struct) (\w+);", re.M)
DEFINED = re.compile(r"^(?:class|struct) (\w+)(?: final)?(?: :[^;{]*)? \{", re.M)
ANY = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def wrong_includes():
    for file in sorted((SOURCE / "lib").rglob("*.[ch]pp")):
        path = file.relative_to(SOURCE)
        floor = path.parts[1]
        text = file.read_text(encoding="utf-8")
        for name in OURS.findall(text):
            first = name.split("/")[0]
            if first in BELOW and first not in BELOW[floor]:
                yield f"{path} includes {name}, which is above it"
            if first == floor == "net" and name.split("/")[1] not in ROOMS[path.parts[2]]:
                yield f"{path} includes {name}, of a room that it may not know"
        if "liburing.h" in ANY.findall(text) and "/".join(path.parts[:2]) != LIBURING:
            yield f"{path} includes liburing.h"
    for file in sorted((SOURCE / "include").rglob("*.hpp")):
        text = file.read_text(encoding="utf-8")
        below = [name for name in OURS.findall(text) if name.split("/")[0] in BELOW]
        # ring.hpp is the door for operations of the program's own.
        closed = file.name != "ring.hpp"
        for name in below + [name for name in ANY.findall(text) if closed and name == "liburing.h"]:
            yield f"{file.relative_to(SOURCE)} includes {name}"


def wrong_declarations():
    """A class that is declared in front of its use, and that only floors above define."""
    texts = {file: file.read_text(encoding="utf-8") for file in sorted((SOURCE / "lib").rglob("*.[ch]pp"))}
    floor_of = {file: file.relative_to(SOURCE).parts[1] for file in texts}
    defined = {}
    for file, text in texts.items():
        for name in DEFINED.findall(text):
            defined.setdefault(name, set()).add(floor_of[file])
    for file, text in texts.items():
        for name in DECLARED.findall(text):
            if name in defined and not defined[name] & BELOW[floor_of[file]]:
                yield f"{file.relative_to(SOURCE)} declares {name}, which is defined above it"


found = [*wrong_includes(), *wrong_declarations()]
print("\n".join(found))
sys.exit(1 if found else 0)
