#!/usr/bin/env python3
"""Writes the service that the README prints to a header: the coroutine `serve`, and a function `open_service`, which opens
the conn as the printed main() does, but at an address that the caller names and without a group.

usage: readme_service.py README HEADER
"""

import re
import sys
from pathlib import Path


def program(markdown):
    """The first program, and the number of its first line."""
    before, found, rest = markdown.partition("\n```cpp program\n")
    if not found:
        sys.exit("the README has no program")
    return rest.split("\n```\n")[0], before.count("\n") + 3


def piece(text, pattern, what):
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit(f"the README's program has no {what}")
    return found.group(0), text[:found.start()].count("\n")


def main():
    readme, header = Path(sys.argv[1]), Path(sys.argv[2])
    text, first = program(readme.read_text(encoding="utf-8"))
    serve, line = piece(text, r"^u6::task<> serve\(u6::packet_conn& pc\) \{\n.*?\n\}$", "coroutine serve")
    conn, _ = piece(text, r"^  auto pc = u6::or_throw\(u6::listen_packet\(loop, \"udp6\", \"[^\"]*\".*?\)\);$", "conn")
    asked, _ = piece(text, r"^  auto flags = [^\n]*;\n  u6::or_throw\(pc\.set_control_message\(flags, true\)\);$",
                     "control messages")
    conn = re.sub(r'"\[::\]:\d+"', "address", conn)
    # The compiler's messages name the README.
    header.write_text(f'#line {first + line} "{readme.name}"\n{serve}\n\n'
                      "u6::packet_conn open_service(u6::event_loop& loop, std::string_view address) {\n"
                      f"{conn}\n{asked}\n  return pc;\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
