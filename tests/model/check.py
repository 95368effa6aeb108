#!/usr/bin/env python3
"""Checks by a model that no post to a sleeping loop is lost (tests/model/wakeup.pml, Spin).

The memory orders are read out of the sources, so weakening one there fails here. Each order, weakened in the model alone,
and each swap of two steps must be found: otherwise the model would prove nothing. Exit status: 0 all is right, 1 it is
not, 77 skipped: spin or a C compiler is missing. Takes some seconds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MODEL = Path(__file__).resolve().parent / "wakeup.pml"
SOURCE = MODEL.parents[2]
ORDERS = {"relaxed": 0, "acquire": 1, "release": 2, "acq_rel": 3, "seq_cst": 7}

# Macro: the file, and the call with that memory order as its first one. Every match must name the same order.
CALLS = {
    "PUSH": ("lib/runtime/loop/inbox.hpp", r"head_\.compare_exchange_weak\([^;]*?memory_order_(\w+)"),
    "TAKE": ("lib/runtime/loop/inbox.hpp", r"head_\.exchange\(leave, std::memory_order_(\w+)"),
    "LOOK": ("lib/runtime/loop/inbox.hpp", r"bool empty\(\)[^}]*head_\.load\(std::memory_order_(\w+)"),
    "DECLARE": ("lib/runtime/loop/loop_core.cpp", r"asleep_\.store\(sleeping::in_\w+, std::memory_order_(\w+)"),
    "WAKE": ("lib/runtime/loop/loop_core.cpp", r"asleep_\.exchange\(sleeping::no, std::memory_order_(\w+)"),
}
# Steps of the sources that the model assumes in this order: (file, the first, the second).
SEQUENCES = [
    ("lib/runtime/loop/loop_core.cpp", "asleep_.store(sleeping::in_ring", "if (!inbox_.empty()) wait = false"),
    ("lib/runtime/loop/loop_core.cpp", "ring_->drain_descriptor(", "asleep_.store(sleeping::in_host"),
    ("lib/runtime/loop/loop_core.cpp", "asleep_.store(sleeping::in_host", "if (!at_rest())"),
    ("lib/runtime/loop/loop_core.cpp", "inbox_.push(", "asleep_.exchange(sleeping::no"),
]
# Errors that Spin must find: a name, and the change of the model.
CONTROLS = [
    ("a push that does not release", {"PUSH": 1}),
    ("a push outside of the one order of all threads", {"PUSH": 3}),
    ("a take that does not acquire", {"TAKE": 2}),
    ("a look that is not sequentially consistent", {"LOOK": 1}),
    ("a declaration of sleep that is not sequentially consistent", {"DECLARE": 2}),
    ("a relaxed declaration of sleep", {"DECLARE": 0}),
    ("a wake-up that is not sequentially consistent", {"WAKE": 3}),
    ("a relaxed wake-up", {"WAKE": 0}),
    ("a look before the declaration of sleep", {"SWAP_LOOK_AND_DECLARE": 1}),
    ("a wake-up before the push", {"SWAP_WAKE_AND_PUSH": 1}),
    ("a descriptor that is drained after the look", {"HOST": 1, "SWAP_DRAIN_AND_LOOK": 1}),
    ("a descriptor that is drained after the declaration", {"HOST": 1, "SWAP_DRAIN_AND_DECLARE": 1}),
    ("a push in the host's loop outside of the one order", {"HOST": 1, "PUSH": 3}),
    ("a wake-up in the host's loop that is relaxed", {"HOST": 1, "WAKE": 0}),
    ("a take that does not acquire, at the end of the loop", {"CLOSING": 1, "TAKE": 2}),
]
RIGHT = [
    ("the loop sleeps in the ring", {}),
    ("the loop sleeps in its host's loop", {"HOST": 1}),
    ("the loop ends while messages come", {"CLOSING": 1}),
    ("the loop ends in its host's loop while messages come", {"CLOSING": 1, "HOST": 1}),
]


def orders_of_sources():
    orders = {}
    for macro, (file, call) in CALLS.items():
        found = set(re.findall(call, (SOURCE / file).read_text()))
        if len(found) != 1:
            sys.exit(f"{file}: {macro} is modelled by one memory order, the source has {sorted(found) or 'none'}")
        orders[macro] = ORDERS[found.pop()]
    for file, first, second in SEQUENCES:
        text = (SOURCE / file).read_text()
        if not 0 <= text.find(first) < text.find(second):
            sys.exit(f"{file}: the model has '{first}' before '{second}'")
    return orders


def verify(change):
    """Spin's verdict: whether it visited all states and found no error."""
    with tempfile.TemporaryDirectory() as directory:
        arguments = [f"-D{name}={value}" for name, value in change.items()]
        for command in (["spin", *arguments, "-a", str(MODEL)],
                        ["cc", "-O0", "-w", "-DSAFETY", "-o", "pan", "pan.c"]):
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        said = subprocess.run(["./pan", "-m100000"], cwd=directory, capture_output=True, text=True).stdout
    found = re.search(r"errors: (\d+)", said)
    if not found or "max search depth too small" in said:
        sys.exit(f"no verdict of Spin for {change}:\n{said}")
    states = re.search(r"(\d+) states, stored", said)
    return int(found[1]) == 0, states[1] if states else "?"


def main():
    if not shutil.which("spin") or not shutil.which("cc"):
        print("skipped: spin or cc is not installed")
        return 77
    orders = {"HOST": 0, **orders_of_sources()}
    bad = 0
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        right = workers.map(lambda each: verify({**orders, "POSTERS": 3, **each[1]}), RIGHT)
        controls = workers.map(lambda each: verify({**orders, "POSTERS": 2, **each[1]}), CONTROLS)
        for (name, _), (good, states) in zip(RIGHT, right):
            bad += not good
            print(f"{'ok' if good else 'FAILED'}: {name} ({states} states)", flush=True)
        for (name, _), (good, _) in zip(CONTROLS, controls):
            bad += good
            print(f"{'MISSED' if good else 'ok: found'}: {name}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
