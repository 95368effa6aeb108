#!/usr/bin/env bash
# Results convert from and to std::expected in C++23, and tl::expected where it is installed, with every compiler.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

install_library
read -ra flags <<<"$(staged_flags --cflags --libs)"
for compiler in "$GXX" ${CLANGXX:+"$CLANGXX"}; do
  "$compiler" -std=c++23 -Wall -Wextra -Werror "$here/expected.cpp" "${flags[@]}" -o "$SCRATCH/expected" ||
    fail "$compiler: the program does not build"
  said=$(LD_LIBRARY_PATH=$library_dir "$SCRATCH/expected") || fail "$compiler: a conversion is wrong after: $said"
  [[ $said == *std::expected* ]] || fail "$compiler: C++23 has no std::expected here"
done
