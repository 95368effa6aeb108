#!/usr/bin/env python3
"""The probe points that the library's code has, those that probe_point.hpp lists, and those that the scripts of
tools/bpftrace use are the same; and a script uses no argument that its probe does not have."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
LISTED_IN = SOURCE / "lib/sys/trace/probe_point.hpp"


def main():
    faults = []
    listed = dict(re.findall(r"^//     (\w+) +(.*)$", LISTED_IN.read_text(), re.MULTILINE))
    placed = {}
    for file in sorted((SOURCE / "lib").rglob("*.cpp")):
        for name, arguments in re.findall(r"URING6_PROBE\((\w+), (.*)\);", file.read_text()):
            placed.setdefault(name, set()).add(len(re.sub(r"\([^()]*\)", "", arguments).split(",")))
    if set(placed) != set(listed):
        faults.append(f"{LISTED_IN.name} lists {sorted(listed)}, the code has {sorted(placed)}")
    faults += [f"{name} has different numbers of arguments" for name, numbers in placed.items() if len(numbers) > 1]
    used = set()
    for script in sorted((SOURCE / "tools/bpftrace").glob("*.bt")):
        text = script.read_text()
        blocks = re.split(r"^(?=\S.*\{)", re.sub(r"//.*", "", text), flags=re.MULTILINE)
        for block in blocks:
            for name in re.findall(r"usdt:\*:uring6:(\w+)", block):
                used.add(name)
                if name not in placed:
                    faults.append(f"{script.name} uses {name}, which is no probe point")
                elif any(int(number) >= max(placed[name]) for number in re.findall(r"\barg(\d)\b", block)):
                    faults.append(f"{script.name} uses an argument that {name} does not have")
    if missing := set(placed) - used:
        faults.append(f"no script uses {sorted(missing)}")
    if not placed:
        faults.append("no probe point was found: this script reads the sources wrongly")
    for fault in faults:
        print(fault)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
