#!/usr/bin/env bash
# A project that builds everything as one file (meson setup --unity=on) can have uring6 as a subproject: no two files of
# the library use a name for different things where the compiler sees them together.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

CXX=$GXX meson setup "$SCRATCH/unity" "$SOURCE" --wrap-mode=nodownload --unity=on --unity-size=1000 --buildtype=debug \
  -Ddebug=false -Dwerror=true -Dtests=disabled -Dtools=disabled -Dbench=disabled || fail "it does not configure"
ninja -C "$SCRATCH/unity" || fail "the library does not build as one file"
