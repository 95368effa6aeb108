#!/usr/bin/env bash
# g++ 12 has the traps of docs/gcc12.md, all of them; each way around that the page shows works; clang has none.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

page=$SOURCE/docs/gcc12.md
program=$here/traps.cpp

# Each heading of the page that is a trap has its proof: here, or in dropped.sh.
headings=$(sed -n '/^## What does not compile/q; s/^## //p' "$page")
[[ -n $headings ]] || fail "$page has no heading"
while read -r heading; do
  grep -qxF "// ## $heading" "$program" "$here/dropped.cpp" || fail "$page: no program proves: $heading"
done <<<"$headings"

# What the page says of the project's own code, and to look for in others'.
pattern=$(sed -n "s/^ *grep -rnE '\(.*\)' .*/\1/p" "$page")
[[ -n $pattern ]] || fail "$page shows no command that finds choices around co_await"
found=$(cd "$SOURCE" && grep -rnE "$pattern" --include='*.cpp' --include='*.hpp' --exclude=traps.cpp \
  bench examples include lib tests tools) && fail "co_await in a choice:" "$found"
grep -qE "$pattern" "$program" || fail "the page's command finds nothing where something is"

# run COMPILER OPTION: what the program says.
run() {
  "$1" -std=c++20 "$2" -I "$SOURCE/include" "$program" -o "$SCRATCH/traps" || fail "$1 $2 does not compile $program"
  "$SCRATCH/traps"
}

# expect COMPILER OPTION WRONG: everything but what the pattern WRONG says is right, and that is wrong.
expect() {
  local said
  said=$(run "$1" "$2") || fail "$1 $2: the program failed: $said"
  grep -qE "$3" <<<"$said" || fail "$1 $2: the program shows no trap"
  ! grep -E "$3" <<<"$said" | grep "right$" || fail "$1 $2: a trap that is none"
  ! grep -vE "$3" <<<"$said" | grep "wrong$" || fail "$1 $2: what should be right is not"
}

if [[ -n $CLANGXX ]]; then
  for option in -O0 -O2; do expect "$CLANGXX" "$option" "^every compiler's trap"; done
fi
major=$("$GXX" -dumpversion | cut -d. -f1)
[[ $major == 12 ]] || skip "the traps are those of g++ 12, and this is g++ $major"
for option in -O0 -O2; do expect "$GXX" "$option" "^(every compiler's )?trap"; done
