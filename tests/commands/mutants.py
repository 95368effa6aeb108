#!/usr/bin/env python3
"""Each planted bug of tests/mutants applies to the sources, begins with what it is, and is counted in docs/reliability.md."""

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
FLOORS = ("ipv6", "sys", "uring", "runtime", "net")

patches = sorted((SOURCE / "tests/mutants").glob("*/*.patch"))
wrong = subprocess.run([SOURCE / "tests/mutants/run.py", "--check"]).returncode
for patch in patches:
    floor = patch.parent.name
    changed = set(re.findall(r"^\+\+\+ b/lib/(\w+)/", patch.read_text(), re.M))
    if floor not in FLOORS or changed != {floor}:
        print(f"{patch.relative_to(SOURCE)} does not change the floor that its folder tells")
        wrong = 1
said = re.search(r"(\d+) bugs of one or two lines", (SOURCE / "docs/reliability.md").read_text())
if not said or int(said[1]) != len(patches):
    print(f"docs/reliability.md counts {said[1] if said else 'no'} bugs; tests/mutants has {len(patches)}")
    wrong = 1
sys.exit(wrong)
