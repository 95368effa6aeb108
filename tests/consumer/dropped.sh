#!/usr/bin/env bash
# Every compiler warns of a result that is dropped, clang of an awaited one, too.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

program=$here/dropped.cpp
of_all='// dropped$' of_clang='// dropped(, says clang)?$'
for compiler in "$GXX" ${CLANGXX:+"$CLANGXX"}; do
  wanted=$(grep -nE "$([[ $compiler == "$GXX" ]] && echo "$of_all" || echo "$of_clang")" "$program" | cut -d: -f1)
  [[ -n $wanted ]] || fail "$program drops nothing"
  said=$("$compiler" -std=c++20 -I "$SOURCE/include" -c "$program" -o "$SCRATCH/dropped.o" 2>&1) ||
    fail "$compiler: $said"
  warned=$(sed -nE 's/^.*dropped\.cpp:([0-9]+):[0-9]+: warning: .*\[-Wunused-(result|value)\]$/\1/p' <<<"$said" | sort -nu)
  [[ $warned == "$wanted" ]] ||
    fail "$compiler: a line without the warning (<), or with one that it should not have (>):" \
      "$(diff <(echo "$wanted") <(echo "$warned"))"
done
