#!/usr/bin/env bash
# Another Meson project takes uring6 as a subproject: dependency('uring6') finds it, and neither tests nor tools nor
# benchmarks come along. Static here, since pkg_config.sh has tried the shared library.
. "$SOURCE/tests/consumer/common.sh"

parent=$SCRATCH/parent
mkdir -p "$parent/subprojects"
ln -s "$SOURCE" "$parent/subprojects/uring6"
cp "$here/program.cpp" "$parent/program.cpp"
cat >"$parent/meson.build" <<'MESON'
project('parent', 'cpp', default_options: ['cpp_std=c++20'])
executable('program', 'program.cpp', dependencies: dependency('uring6'))
MESON

CXX=$GXX meson setup "$parent/build" "$parent" --wrap-mode=nodownload --force-fallback-for=uring6 \
  --default-library=static --optimization=0 || fail "the parent project does not configure"
[[ $(meson introspect --tests "$parent/build") == "[]" ]] || fail "the parent project got uring6's tests"
extra=$(meson introspect --targets "$parent/build" | grep -oE '^ *"name": "[^"]*"|"name": "[^"]*"' |
  grep -vE '"(program|uring6|uring6-objects)"' || true)
[[ -z $extra ]] || fail "the parent project got more than the library: $extra"
ninja -C "$parent/build" || fail "the parent project does not build"
"$parent/build/program"
