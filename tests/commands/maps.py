#!/usr/bin/env python3
"""Every public header, every file and folder of lib/ and every folder of tests/ is on the map in docs/architecture.md, the
map names no other file, and no folder of lib/, tests/ or bench/ has more files than a reader takes in at a glance."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
text = (SOURCE / "docs" / "architecture.md").read_text(encoding="utf-8")
code_map = text[text.index("## Map of the code"):]
named = set(re.findall(r"`([^`]+)`", code_map))

missing = [f"include/uring6/{file.name}" for file in sorted((SOURCE / "include" / "uring6").glob("*.hpp"))
           if file.name not in named]
parts = sorted({file.relative_to(SOURCE).with_suffix("") for file in (SOURCE / "lib").rglob("*.[ch]pp")})
missing += [f"{part}.hpp or .cpp" for part in parts if part.name not in named]
missing += sorted({str(part.parent) for part in parts if str(part.parent) not in named})
missing += [f"tests/{folder.name}" for folder in sorted((SOURCE / "tests").iterdir())
            if folder.is_dir() and folder.name != "__pycache__" and f"tests/{folder.name}" not in named]

present = {file.name for file in (SOURCE / "include" / "uring6").rglob("*.hpp")}
present |= {part.name for part in parts}
present |= {file.stem for file in (SOURCE / "tools").iterdir()}
gone = [name for name in sorted(named)
        if name not in present and not (SOURCE / name).exists() and not (SOURCE / "include" / "uring6" / name).exists()
        and name != "uring6"]

# A header and its source count as one.
FILES_IN_A_FOLDER = 25
folders = [folder for root in ("lib", "tests", "bench") for folder in sorted((SOURCE / root).rglob("*")) if folder.is_dir()]
crowded = [folder for folder in folders
           if len({file.stem for file in folder.glob("*.[ch]pp")}) > FILES_IN_A_FOLDER]

for folder in crowded:
    print(f"{folder.relative_to(SOURCE)} has more than {FILES_IN_A_FOLDER} files")
for path in missing:
    print(f"docs/architecture.md: the map of the code does not name {path}")
for name in gone:
    print(f"docs/architecture.md: the map of the code names {name}, which is not there")
sys.exit(1 if missing or gone or crowded else 0)
