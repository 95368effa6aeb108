#!/usr/bin/env python3
"""No file of lib/ or include/ includes a header that it does not use.

An include is suspected if the file has none of the names that the header declares. clang-include-cleaner (clang-tools)
parses the files with a suspected include, and an include that it reports, too, is a fault. It parses a file in two
seconds, so it does not parse the others. Exit status 77: there is no clang-include-cleaner from version 18 on.

usage: includes.py [--suspects]      with --suspects it prints them, and parses nothing"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "parity"))
from declarations import declared_names, without_comments  # noqa: E402

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
# Umbrellas declare nothing themselves: neither their includes nor an include of one of them is suspected. Each public
# header includes version.hpp for its #error.
UMBRELLAS = {"uring6/uring6.hpp", "uring6/icmp.hpp", "uring6/bpf.hpp", "uring6/ip_options.hpp"}
NOT_SUSPECTED = UMBRELLAS | {"uring6/version.hpp"}

# Names of the standard's headers that this code includes, as far as a word shows their use. A header without an entry
# is not suspected.
STANDARD = {
    "algorithm": r"std::(?:ranges::\w+|min|max|clamp|find\w*|copy\w*|fill\w*|sort\w*|any_of|all_of|none_of|count\w*|"
                 r"remove\w*|equal|lexicographical\w*|rotate|move_backward|minmax|for_each|unique|push_heap|pop_heap|\w+_bound)",
    "array": r"std::(?:array|to_array)", "atomic": r"std::(?:atomic\w*|memory_order\w*)",
    "bit": r"std::(?:bit_\w+|countl_\w+|countr_\w+|endian|has_single_bit|popcount|rotl|rotr)",
    "cassert": r"\bassert\b", "cerrno": r"\b(?:errno|E[A-Z0-9]{2,})\b", "charconv": r"std::(?:from_chars|to_chars)",
    "chrono": r"std::chrono|chrono_literals", "climits": r"\b\w+_(?:MAX|MIN|BIT)\b",
    "compare": r"<=>|std::\w*_ordering", "concepts": r"std::\w+", "condition_variable": r"std::condition_variable",
    "coroutine": r"std::(?:coroutine\w*|suspend\w*|noop\w*)|co_await|co_return",
    "csignal": r"\b(?:SIG\w+|sig\w+|raise|kill)\b", "cstddef": r"std::(?:size_t|byte|ptrdiff_t|nullptr_t|max_align_t|as_bytes)|offsetof",
    "cstdint": r"\bu?int(?:_\w+)?\d*_t\b|std::uintptr_t", "cstdio": r"std::\w*(?:put|print|open|close|read|write|flush)\w*|std::FILE|stderr",
    "cstdlib": r"std::\w+", "cstring": r"std::(?:mem\w+|str\w+)", "deque": r"std::deque",
    "exception": r"std::(?:exception\w*|current_exception|rethrow_exception|terminate|make_exception_ptr|uncaught_exceptions)",
    "fstream": r"std::\w*fstream", "functional": r"std::(?:function|hash|less|greater|invoke|reference_wrapper|ref|cref|plus)\b",
    "future": r"std::(?:future|promise|async)", "initializer_list": r"std::initializer_list",
    "iterator": r"std::(?:\w*iterator\w*|\w*inserter|next|prev|advance|distance|size|ssize|begin|end|data|default_sentinel\w*)\b",
    "limits": r"std::numeric_limits", "map": r"std::(?:multi)?map",
    "memory": r"std::(?:\w*_ptr\w*|make_\w+|addressof|construct_at|destroy\w*|allocator\w*|to_address|enable_shared_from_this|uninitialized\w*)",
    "memory_resource": r"std::pmr", "mutex": r"std::(?:\w*mutex|\w*_lock|lock_guard|call_once|once_flag)",
    "new": r"std::(?:nothrow\w*|bad_alloc|align_val_t|launder)|\bnew\s*\(|operator (?:new|delete)",
    "optional": r"std::(?:optional|nullopt\w*|make_optional)", "queue": r"std::(?:priority_)?queue",
    "ranges": r"std::(?:ranges|views)", "semaphore": r"std::\w+_semaphore", "set": r"std::(?:multi)?set",
    "source_location": r"std::source_location", "span": r"std::(?:span|as_bytes|as_writable_bytes|dynamic_extent)",
    "stdexcept": r"std::\w+_(?:error|argument|range)", "stop_token": r"std::(?:stop_\w+|nostopstate)",
    "string": r"std::(?:\w*string|to_string|getline|char_traits)\b", "string_view": r"std::\w*string_view|literals",
    "system_error": r"std::(?:error_\w+|system_error|errc|system_category|generic_category|make_error_code|is_error_\w+)",
    "thread": r"std::(?:j?thread|this_thread)", "tuple": r"std::(?:tuple\w*|tie|apply|make_tuple|forward_as_tuple|get)\b",
    "type_traits": r"std::(?:is_\w+|\w+_t|\w+_v|true_type|false_type|integral_constant|remove_\w+|enable_if|conditional|invoke_result|underlying_type)\b",
    "unordered_map": r"std::unordered_(?:multi)?map", "utility": r"std::(?:move|forward|exchange|swap|pair|make_pair|in_place\w*|index_sequence\w*|make_index_sequence|declval|as_const|unreachable|cmp_\w+|in_range|to_underlying|piecewise\w*)\b",
    "variant": r"std::(?:variant\w*|visit|get|get_if|holds_alternative|monostate)\b", "vector": r"std::(?:pmr::)?vector",
    "fmt/format.h": r"\bfmt::", "fmt/core.h": r"\bfmt::", "liburing.h": r"\bio_uring\w*|\bIORING_\w+|\bIOSQE_\w+",
    "poll.h": r"\bpollfd\b|\bPOLL[A-Z]+\b|::poll\(", "sys/mman.h": r"\bm(?:map|unmap|advise|lock)\b|\bM(?:AP|ADV)_\w+",
    "sys/uio.h": r"\biovec\b|\b\w*readv\b|\b\w*writev\b", "netdb.h": r"\baddrinfo\b|\bgetaddrinfo\b|\bAI_|\bEAI_|\bNI_",
    "sys/eventfd.h": r"\beventfd\w*\b", "sys/epoll.h": r"\bepoll\w*\b|\bEPOLL\w+", "sys/utsname.h": r"\buts?name\b",
    "sys/ioctl.h": r"\bioctl\b", "sched.h": r"\bsched_\w+|\bcpu_set_t\b|\bCPU_\w+", "pthread.h": r"\bpthread_\w+",
    "fcntl.h": r"\b(?:fcntl|open|openat)\b|\b[OF]_[A-Z]+\b|\bAT_\w+", "arpa/inet.h": r"\b(?:hton|ntoh)[sl]\b|\binet_\w+",
    "netinet/udp.h": r"\bUDP_\w+|\budphdr\b", "netinet/tcp.h": r"\bTCP_\w+|\btcp\w+\b", "linux/filter.h": r"\bsock_f\w+|\bBPF_\w+|\bSKF_\w+",
    "net/if.h": r"\bif_\w+|\bIF\w+|\bifreq\b", "sys/socket.h": r"\bsock\w+|\bmsghdr\b|\bmmsghdr\b|\b(?:AF|SOL|SO|MSG|SOCK|SCM|SHUT)_\w+|\bcmsghdr\b|\bCMSG_\w+|::(?:send|recv)\w*",
    "netinet/in.h": r"\bsockaddr_in6?\b|\bin6?_addr\b|\bIPPROTO_\w+|\bIPV6_\w+|\bIP_\w+|\bMCAST_\w+|\bgroup_(?:source_)?req\b|\b(?:hton|ntoh)[sl]\b|\bin6?_pktinfo\b|\bip_mreq\w*",
}


def path_of(name):
    """The file of an include in quotation marks, or None for a generated one."""
    return next((SOURCE / place / name for place in ("lib", "include") if (SOURCE / place / name).exists()), None)


def names_of(header, known={}):
    if header not in known:
        text = header.read_text(encoding="utf-8")
        known[header] = ({path[-1] for path in declared_names(text)} | set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.M))
                         ) - {"uring6", "detail"}
    return known[header]


def suspects(text, path):
    """The includes of a file without a mention of what they declare."""
    directives = re.findall(r"^\s*#(?!\s*include)[^\n]*", text, re.M)  # without_comments drops these lines
    code = "\n".join([without_comments(INCLUDE.sub("", text)), *directives])
    words = set(re.findall(r"\w+", code))
    for ours, system in INCLUDE.findall(text):
        if ours:
            header = path_of(ours)
            own = path.suffix == ".cpp" and Path(ours).stem == path.stem
            if header and not own and ours not in NOT_SUSPECTED and not names_of(header) & words:
                yield ours
        elif system in STANDARD and not re.search(STANDARD[system], code):
            yield system


def check_itself():
    text = '#include <vector>\n#include <span>\n#include "uring6/address.hpp"\n#include "uring6/stats.hpp"\n' \
           "// std::vector\nstd::span<int> f(ip_address);\n"
    found = list(suspects(text, Path("x.hpp")))
    if found != ["vector", "uring6/stats.hpp"]:
        sys.exit(f"the check itself: it suspects {found}")


def cleaner():
    """The newest clang-include-cleaner, which LLVM's packages keep out of PATH, or None."""
    for version in range(40, 17, -1):
        program = Path(f"/usr/lib/llvm-{version}/bin/clang-include-cleaner")
        if program.exists():
            return str(program)
    return shutil.which("clang-include-cleaner")


def options():
    """The compiler's: a build's own are GCC's, and those of a unity build name no file of the library."""
    packages = subprocess.run(["pkg-config", "--cflags", "fmt", "liburing", "libmnl"], check=True, capture_output=True, text=True)
    return ["-xc++", "-std=c++20", f"-I{SOURCE / 'include'}", f"-I{SOURCE / 'lib'}", *packages.stdout.split()]


def confirmed(program, flags, path, suspected):
    """The suspected includes that clang-include-cleaner reports, too."""
    result = subprocess.run([program, "--print=changes", "--insert=0", path, "--", *flags], capture_output=True, text=True)
    if result.returncode != 0:
        return [f"{path.relative_to(SOURCE)}: clang-include-cleaner failed: {result.stderr[-500:]}"]
    reported = re.findall(r'^- ["<]([^">]+)[">] @Line:(\d+)', result.stdout, re.M)
    return [f"{path.relative_to(SOURCE)}:{line}: nothing uses {name}" for name, line in reported if name in suspected]


def main():
    check_itself()
    found = {}
    for place in ("include", "lib"):
        for path in sorted((SOURCE / place).rglob("*.[ch]pp")):
            if str(path.relative_to(SOURCE / place)) not in UMBRELLAS:
                if names := list(suspects(path.read_text(encoding="utf-8"), path)):
                    found[path] = names
    if sys.argv[1:] == ["--suspects"]:
        print("\n".join(f"{path.relative_to(SOURCE)}: {', '.join(names)}" for path, names in found.items()))
        return 0
    program = cleaner()
    if not program:
        print("there is no clang-include-cleaner from version 18 on (clang-tools)")
        return 77
    flags = options()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = sum(pool.map(lambda path: confirmed(program, flags, path, found[path]), found), [])
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
