#!/usr/bin/env python3
"""Every type of the public headers that is a value has a formatter, which value_format_test.cpp asks for; the others are
listed here. So a new type fails until its text is written, or it is said not to be a value."""

import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ.get("SOURCE", pathlib.Path(__file__).resolve().parents[2]))
TEST = SOURCE / "tests/unit/value/value_format_test.cpp"

NO_VALUES = {
    "what a program sets, and gets nothing of back": """
        packet_options tcp_options loop_options loop_group_options listen_group_options listen_tcp_group_options resolve_options
        memory_link_options metric_label interface_monitor_options subscription_options""",
    "a text that is being made": """
        metrics_page""",
    "has an identity: a conn, a loop, what tasks meet at": """
        packet_conn ip_options tcp_conn tcp_listener event_loop loop_group scope interval event semaphore async_mutex
        async_lock opening_hook stop_source memory_link memory_socket loop_place interface_monitor handover takeover successor
        group_keeper datagram_hub subscription""",
    "tells whether a stop was requested, and what a coroutine hands on: a bool has text": """
        stop_token environment""",
    "a range, whose elements have text": """
        datagram_batch shared_batch""",
    "walks over octets, or runs": """
        header_walk bpf::vm asio_bridge""",
    "what fail() returns, until it is a result: its error has text": """
        failure""",
    "a program and whether all of it was decoded: its instructions have text": """
        bpf::disassembly""",
}


def declared():
    """Names of the types that stand at the outermost level of a public header, without templates."""
    names = {}
    for header in sorted((SOURCE / "include/uring6").rglob("*.hpp")):
        path = header.relative_to(SOURCE)
        if "detail" in path.parts:
            continue
        before, spaces = "", []
        for line in header.read_text().replace("::inline v0", "").splitlines():
            if entered := re.match(r"namespace (\S+) \{", line):
                spaces.append(entered[1])
            elif line.startswith("}  // namespace"):
                spaces.pop()
            found = re.match(r"(?:struct|class|enum class)(?: URING6_EXPORT| \[\[.*\]\])? (\w+)(?: final)?(?: :[^:].*)? \{",
                             line)
            if found and not before.startswith(("template", "requires")) and "detail" not in " ".join(spaces):
                space = "::".join(spaces).removeprefix("uring6").removeprefix("::")
                names[f"{space}::{found[1]}" if space else found[1]] = path
            before = line
    return names


def asked_for():
    """Names of the types that the test formats."""
    names = set()
    for case in TEST.read_text().split("TEST_CASE(")[1:]:
        space = "icmp::" if "using namespace icmp;" in case else ""
        for each in re.findall(r"all_formattable<([^;]*?)>\)", case):
            names |= {space + name for name in re.split(r"[,\s]+", each)}
    return names


def main():
    formatted = asked_for()
    no_values = {name for names in NO_VALUES.values() for name in names.split()}
    types = declared()
    if len(types) < 50:
        sys.exit(f"only {len(types)} types were found: this script reads the headers wrongly")
    wrong = [f"{path}: {name} has no text in {TEST.name} and is not listed as no value" for name, path in types.items()
             if name not in formatted and name not in no_values]
    wrong += [f"{name} is listed as no value, and no header declares it" for name in sorted(no_values - set(types))]
    wrong += [f"{name} is listed as no value, and has text" for name in sorted(no_values & formatted)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
