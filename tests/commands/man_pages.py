#!/usr/bin/env python3
"""mandoc finds no fault in the man pages; each public member of a type is on its page, and each page that another one names
is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(os.environ.get("SOURCE", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("BUILD", SOURCE / "build/dev"))
sys.path[:0] = [str(SOURCE / "tests/parity"), str(SOURCE / "tools/site")]
from declarations import declared_names  # noqa: E402
from plain_headers import without_hidden  # noqa: E402

HEADER = re.compile(r"^\.In (\S+)$", re.M)
REFERENCE = re.compile(r"^\.Xr (uring6\S*) (\d)", re.M)
# Names that no program calls, or that stand in a type inside of the type.
NO_NAMES = {"promise_type", "sizeof"}


def names_in(text):
    return set(re.findall(r"\w+", re.sub(r"\\f[BP]", " ", text)))


def complaints_about(pages):
    present = {(page.stem, page.suffix[1:]) for page in pages}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for name, section in REFERENCE.findall(text):
            if (name, section) not in present:
                yield f"{page.name} names {name}({section}), which is not there"
        if page.suffix != ".3":
            continue
        header = (SOURCE / "include" / HEADER.search(text)[1]).read_text(encoding="utf-8")
        header = re.sub(r" URING6_LIFETIMEBOUND\b", "", without_hidden(header))
        of_type = page.stem.partition("::")[2]
        shown = names_in(text)
        for path in declared_names(header):
            if path[:2] == ("uring6", of_type) and len(path) == 3 and path[2] not in shown | NO_NAMES:
                yield f"{page.name} has no {path[2]}"


def main():
    subprocess.run(["ninja", "-C", BUILD, "man"], check=True, stdout=subprocess.DEVNULL)
    pages = sorted((BUILD / "docs/man").glob("*.3")) + [SOURCE / "docs/man/uring6.1", SOURCE / "docs/man/uring6.7"]
    if len(pages) < 20:
        sys.exit(f"there are {len(pages)} pages")
    complaints = list(complaints_about(pages))
    if not shutil.which("mandoc"):
        print("\n".join(complaints) or "whether the pages are right is not known: there is no mandoc (tools/lib/packages, group docs)")
        return 1 if complaints else 77
    said = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *pages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # What it says of the system's own database of pages is none of these pages'.
    complaints += [line for line in said.stdout.splitlines() if "outdated mandoc.db" not in line]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
