#!/usr/bin/env python3
"""Writes the programs of a Markdown file, the blocks fenced ```cpp program, to files that a compiler can read.

usage: extract_programs.py MARKDOWN FILE...

There must be as many files as programs.
"""

import sys
from pathlib import Path


def programs(markdown):
    """(number of its first line, text) of each."""
    found = []
    first, lines = 0, None
    for number, line in enumerate(markdown.splitlines(), start=1):
        if lines is None:
            if line == "```cpp program":
                first, lines = number + 1, []
        elif line == "```":
            found.append((first, "\n".join(lines) + "\n"))
            lines = None
        else:
            lines.append(line)
    if lines is not None:
        sys.exit(f"the program that begins in line {first} has no end")
    return found


def main():
    source, files = Path(sys.argv[1]), sys.argv[2:]
    found = programs(source.read_text(encoding="utf-8"))
    if len(found) != len(files):
        sys.exit(f"{source} holds {len(found)} programs, and {len(files)} were expected")
    for (line, text), file in zip(found, files):
        # The compiler's messages then name the Markdown file.
        Path(file).write_text(f'#line {line} "{source.name}"\n{text}', encoding="utf-8")


if __name__ == "__main__":
    main()
