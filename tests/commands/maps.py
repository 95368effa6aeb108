#!/usr/bin/env python3
"""Every public header, every header of lib/ and every folder of tests/ is on the map in docs/architecture.md, and the map
names nothing that is not there."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
text = (SOURCE / "docs" / "architecture.md").read_text(encoding="utf-8")
code_map = text[text.index("## Map of the code"):]
named = set(re.findall(r"`([^`]+)`", code_map))

missing = [f"include/uring6/{file.name}" for file in sorted((SOURCE / "include" / "uring6").glob("*.hpp"))
           if file.name not in named]
parts = {folder: [file.stem for file in sorted((SOURCE / "lib" / folder).rglob("*.hpp"))]
         for folder in ("ipv6", "sys", "uring", "runtime", "net")}
missing += [f"lib/{folder}/{stem}.hpp" for folder, stems in parts.items() for stem in stems if stem not in named]
missing += [f"tests/{folder.name}" for folder in sorted((SOURCE / "tests").iterdir())
            if folder.is_dir() and folder.name != "__pycache__" and f"tests/{folder.name}" not in named]

present = {file.name for file in (SOURCE / "include" / "uring6").rglob("*.hpp")}
present |= {stem for stems in parts.values() for stem in stems}
present |= {file.stem for file in (SOURCE / "tools").iterdir()}
gone = [name for name in sorted(named)
        if name not in present and not (SOURCE / name).exists() and not (SOURCE / "include" / "uring6" / name).exists()
        and name != "uring6"]

for path in missing:
    print(f"docs/architecture.md: the map of the code does not name {path}")
for name in gone:
    print(f"docs/architecture.md: the map of the code names {name}, which is not there")
sys.exit(1 if missing or gone else 0)
