#!/usr/bin/env bash
# Another Meson project takes uring6 as a subproject: dependency('uring6') finds it, and the build has neither tests nor
# tools nor benchmarks. No other test builds the library like this one: at -O0, with the sanitizers of address and
# undefined behavior, by clang if it is installed; static and shared, because pkg_config.sh links the shared one only.
# The subproject is a unity build, which takes a third of the time.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

parent=$SCRATCH/parent
mkdir -p "$parent/subprojects"
ln -s "$SOURCE" "$parent/subprojects/uring6"
cp "$here/program.cpp" "$parent/program.cpp"
cat >"$parent/meson.build" <<'MESON'
project('parent', 'cpp', default_options: ['cpp_std=c++20'])
executable('program', 'program.cpp', dependencies: dependency('uring6'))
MESON

compiler=${CLANGXX:-$GXX}
CXX=$compiler meson setup "$parent/build" "$parent" --wrap-mode=nodownload --force-fallback-for=uring6 \
  --unity=subprojects --unity-size=14 --default-library=both --optimization=0 -Ddebug=false -Db_sanitize=address,undefined \
  -During6:werror=true || fail "the parent project does not configure"
[[ $(meson introspect --tests "$parent/build") == "[]" ]] || fail "the parent project got uring6's tests"
extra=$(meson introspect --targets "$parent/build" | grep -oE '^ *"name": "[^"]*"|"name": "[^"]*"' |
  grep -vE '"(program|uring6|uring6-objects)"' || true)
[[ -z $extra ]] || fail "the parent project got more than the library: $extra"
ninja -C "$parent/build" || fail "the parent project does not build"
"$parent/build/program"

read -ra others <<<"$(pkg-config --cflags --libs fmt liburing libmnl)"
"$compiler" -std=c++20 -fsanitize=address,undefined -I"$SOURCE/include" "$here/program.cpp" \
  "$parent/build/subprojects/uring6/lib/liburing6.a" "${others[@]}" -o "$SCRATCH/static" ||
  fail "a program does not link the static library"
"$SCRATCH/static"
