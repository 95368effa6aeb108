#!/usr/bin/env bash
# A program builds against the installed library with nothing but pkg-config, and runs; also after the installed tree was
# moved. uring6.pc names each package that it needs once.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

install_library
for line in Requires Requires.private; do
  names=$(sed -n "s/^$line: *//p" "$PKG_CONFIG_PATH/uring6.pc" | tr ',' '\n' | awk '{ print $1 }')
  [[ -n $names ]] || fail "uring6.pc has no line $line"
  twice=$(sort <<<"$names" | uniq -d)
  [[ -z $twice ]] || fail "the line $line of uring6.pc names twice: $twice"
done

mkdir "$SCRATCH/moved"
mv "$stage" "$SCRATCH/moved/here"
PKG_CONFIG_PATH=$SCRATCH/moved/here${PKG_CONFIG_PATH#"$stage"}
library_dir=$(dirname "$PKG_CONFIG_PATH")
read -ra flags <<<"$(staged_flags --cflags --libs)"
"$GXX" -std=c++20 -Wall -Wextra -Werror "$here/program.cpp" "${flags[@]}" -o "$SCRATCH/program"
LD_LIBRARY_PATH=$library_dir "$SCRATCH/program"
[[ $(pkg-config --modversion uring6) == "$(project_version)" ]] || fail "uring6.pc names another version"
