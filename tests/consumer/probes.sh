#!/usr/bin/env bash
# The library has the probe points that its sources place, where sys/sdt.h is; and bpftrace attaches the scripts of
# tools/bpftrace to them, where the kernel lets it.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

library=$BUILD/lib/liburing6.so
echo '#include <sys/sdt.h>' | "$GXX" -E -x c++ - >/dev/null 2>&1 || skip "sys/sdt.h is not there (package systemtap-sdt-dev)"
notes=$(readelf --notes "$library")
for name in $(grep -rhoE 'URING6_PROBE\([a-z_]+' "$SOURCE/lib" --include=*.cpp | sed 's/.*(//' | sort -u); do
  grep -q "Name: $name\$" <<<"$notes" || fail "the library has no probe point $name"
done

command -v bpftrace >/dev/null || skip "the probe points are there; bpftrace is not installed"
[[ $(id -u) == 0 ]] || skip "the probe points are there; bpftrace needs root"
bpftrace -e "usdt:$library:uring6:turn_begin { exit(); } interval:ms:1 { exit(); }" >"$SCRATCH/tried" 2>&1 ||
  skip "the probe points are there; this kernel lets bpftrace attach none: $(tail -n 1 "$SCRATCH/tried")"
for script in "$SOURCE"/tools/bpftrace/*.bt; do
  sed "s#usdt:\*:#usdt:$library:#" "$script" >"$SCRATCH/script.bt"
  echo 'interval:s:1 { exit(); }' >>"$SCRATCH/script.bt"
  bpftrace "$SCRATCH/script.bt" >"$SCRATCH/shown" 2>&1 || fail "$script: $(<"$SCRATCH/shown")"
done
