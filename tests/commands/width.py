#!/usr/bin/env python3
"""No line of C++ is wider than .clang-format's column limit, and none ends in a blank. What else clang-format wants
differs from version to version; this does not."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PLACES = ("bench", "examples", "include", "lib", "tests", "tools")
LIMIT = int(re.search(r"^ColumnLimit: *(\d+)", (SOURCE / ".clang-format").read_text(), re.M)[1])

files = sorted(file for place in PLACES for form in ("*.cpp", "*.hpp") for file in (SOURCE / place).rglob(form))
if not files:
    sys.exit("there is no C++ to look at")
wrong = 0
for file in files:
    for number, line in enumerate(file.read_text().split("\n"), 1):
        if len(line) > LIMIT or line != line.rstrip():
            print(f"{file.relative_to(SOURCE)}:{number}: {len(line)} columns{' and a blank' * (line != line.rstrip())}")
            wrong += 1
sys.exit(1 if wrong else 0)
