#!/usr/bin/env bash
# The shared library can be loaded by a program that was not linked with it, as an extension of Python, a JVM's or a
# server's module is. glibc keeps some 512 octets in each thread for the variables of all libraries that come by dlopen
# and access theirs without a call ("cannot allocate memory in static TLS block").
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

library=$BUILD/lib/liburing6.so
most=160
octets=$((16#$(readelf --segments --wide "$library" | awk '$1 == "TLS" { sub("0x", "", $6); print $6 }')))
((octets > 0)) || fail "readelf shows no thread-local variables"
((octets <= most)) || fail "$octets octets of thread-local variables are more than $most"

readelf --dynamic "$library" | grep -q NODELETE || fail "dlclose unmaps code that the threads of run_blocking run"

install_library
read -ra flags <<<"$(staged_flags --cflags --libs)"
"$GXX" -std=c++20 -shared -fPIC -Wall -Wextra -Werror "$here/plugin.cpp" "${flags[@]}" \
  "-Wl,-rpath,$library_dir" -o "$SCRATCH/plugin.so" || fail "a library that uses uring6 does not build"
"$GXX" -std=c++20 "$here/host.cpp" -pthread -o "$SCRATCH/host" || fail "the program does not build"

status=0
"$SCRATCH/host" "$library_dir/liburing6.so" "$SCRATCH/plugin.so" || status=$?
((status == 0 || status == 77)) || fail "the program cannot use the library: $status"

if command -v python3 >/dev/null; then
  python3 - "$library_dir/liburing6.so" "$SCRATCH/plugin.so" <<'PYTHON' || fail "Python cannot use the library"
import ctypes
import sys
import threading

ctypes.CDLL(sys.argv[1])
outcomes = []
use = ctypes.CDLL(sys.argv[2]).use_uring6
outcomes.append(use())
thread = threading.Thread(target=lambda: outcomes.append(use()))
thread.start()
thread.join()
sys.exit(0 if outcomes in ([0, 0], [77, 77]) else f"it failed: {outcomes}")
PYTHON
fi
exit "$status"
