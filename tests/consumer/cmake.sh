#!/usr/bin/env bash
# A CMake project finds the installed library: find_package(uring6) and the target uring6::uring6.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

command -v cmake >/dev/null || skip "there is no cmake"
install_library
version=$(project_version)
cmake -S "$here" -B "$SCRATCH/cmake" -G Ninja -DCMAKE_CXX_COMPILER="$GXX" -DCMAKE_PREFIX_PATH="$stage$prefix" \
  -DWANTED_VERSION="${version%.*}" || fail "find_package does not find it"
if cmake -S "$here" -B "$SCRATCH/other" -G Ninja -DCMAKE_CXX_COMPILER="$GXX" -DCMAKE_PREFIX_PATH="$stage$prefix" \
  -DWANTED_VERSION=0.0 >/dev/null 2>&1; then
  fail "find_package takes this version for one that was asked for and is not compatible"
fi
cmake --build "$SCRATCH/cmake" || fail "the CMake project does not build"
"$SCRATCH/cmake/program"
