#!/usr/bin/env bash
# The ten programs of the guide compile without a warning with each compiler that is here: in C++20 and C++23, with
# libstdc++ and libc++. All ten are one file, each in a namespace of its own, so that the headers are read once. None is
# longer than its twin in Go (examples/go), which go vet checks.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

programs=(echo request multicast lines pipeline burst select http_get ping all_cpus)
lines_of_code() { grep -cvE '^[[:space:]]*(//.*)?$' "$1"; }
for name in "${programs[@]}"; do
  ours=$(lines_of_code "$SOURCE/examples/$name.cpp")
  twin=$(lines_of_code "$SOURCE/examples/go/$name.go")
  echo "$name: $ours lines, in Go $twin"
  ((ours <= twin)) || fail "examples/$name.cpp is longer than its twin in Go"
done
export GOPATH=/usr/share/gocode GO111MODULE=off GOFLAGS='' GOCACHE=$SCRATCH/go
if command -v go >/dev/null && go list golang.org/x/net/ipv6 >/dev/null 2>&1; then
  for name in "${programs[@]}"; do
    go vet "$SOURCE/examples/go/$name.go" || fail "examples/go/$name.go is wrong"
  done
else
  echo "not vetted: there is no Go with golang.org/x/net"
fi

one=$SCRATCH/guide.cpp
{
  for name in "${programs[@]}"; do sed -n '/^#include/p' "$SOURCE/examples/$name.cpp"; done | sort -u
  echo '#define main main_'
  for name in "${programs[@]}"; do
    printf "namespace %s_ {\n" "$name"
    sed '/^#include/s/.*//' "$SOURCE/examples/$name.cpp"
    echo '}'
  done
} >"$one"

# Without -Wreturn-type: the functions are no main, which may end without a return.
flags=(-Wall -Wextra -Wconversion -Wshadow -Werror -Wno-return-type -Wno-unused-function -fsyntax-only -I "$SOURCE/include")
compile() {
  "$@" "${flags[@]}" "$one" || fail "$*: the programs do not compile without a warning"
  echo "compiled by $*"
}

for mode in -std=c++20 -std=c++23; do
  compile "$GXX" "$mode"
  for newer in g++-13 g++-14 g++-15; do
    if command -v "$newer" >/dev/null; then compile "$newer" "$mode"; fi
  done
  [[ -n $CLANGXX ]] || continue
  compile "$CLANGXX" "$mode"
  # The library needs nothing of libc++ that -fexperimental-library switches on.
  if echo '#include <version>' | "$CLANGXX" -stdlib=libc++ -fsyntax-only -x c++ - 2>/dev/null; then
    compile "$CLANGXX" -stdlib=libc++ "$mode"
  else
    echo "not compiled with libc++, which is not here"
  fi
done
