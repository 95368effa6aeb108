#!/usr/bin/env python3
"""Writes the program of a man page, the literal display of its section EXAMPLES, to a file that a compiler can read.

usage: extract_example.py PAGE FILE
"""

import re
import sys
from pathlib import Path

page, file = (Path(word) for word in sys.argv[1:])
found = re.search(r"^\.Sh EXAMPLES$.*?^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", page.read_text(encoding="utf-8"), re.M | re.S)
if not found:
    sys.exit(f"{page} has no example")
file.write_text(found[1].replace("\\&", "").replace("\\e", "\\").replace("\\-", "-"), encoding="utf-8")
