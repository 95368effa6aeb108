#!/usr/bin/env bash
# A program builds against the installed library with nothing but pkg-config, and runs.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

install_library
read -ra flags <<<"$(staged_flags --cflags --libs)"
"$GXX" -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -Werror "$here/program.cpp" "${flags[@]}" -o "$SCRATCH/program"
LD_LIBRARY_PATH=$library_dir "$SCRATCH/program"
[[ $(pkg-config --modversion uring6) == "$(project_version)" ]] || fail "uring6.pc names another version"
