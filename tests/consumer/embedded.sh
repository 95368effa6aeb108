#!/usr/bin/env bash
# A CMake project takes uring6 as a folder of its own: shared by add_subdirectory, static by FetchContent. It builds the
# sources that Meson builds, no more and no less, and the shared library shows no other names than Meson's.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

command -v cmake >/dev/null || skip "there is no cmake"

configure() { # directory, options
  cmake -S "$here/embedded" -B "$SCRATCH/$1" -G Ninja -DCMAKE_CXX_COMPILER="$GXX" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
    -DURING6_SOURCE="$SOURCE" -DFETCHCONTENT_SOURCE_DIR_URING6="$SOURCE" "${@:2}" || fail "$1: it does not configure"
}

configure listed -DHOW=add_subdirectory
meson introspect --targets "$BUILD" >"$SCRATCH/targets"
python3 - "$SOURCE" "$SCRATCH/targets" "$SCRATCH/listed/compile_commands.json" <<'PYTHON' || fail "the lists of sources differ"
import json
import os
import re
import sys

source, targets, commands = sys.argv[1:]
library = os.path.realpath(source) + "/lib/"
with open(targets) as file:
    parts = [part for target in json.load(file) if target["name"] == "uring6-objects" for part in target["target_sources"]]
by_meson = {os.path.realpath(each) for part in parts for each in part.get("sources", [])}
# A unity build lists generated files that include the sources.
for each in (each for part in parts for each in part.get("generated_sources", [])):
    with open(each) as file:
        by_meson |= {os.path.realpath(name) for name in re.findall(r'#include *[<"]([^>"]*)', file.read())}
with open(commands) as file:
    by_cmake = {os.path.realpath(each["file"]) for each in json.load(file)}
by_cmake = {each for each in by_cmake if each.startswith(library)}
for each in sorted(by_meson ^ by_cmake):
    print(f"{each.removeprefix(library)}: in the list of {'Meson' if each in by_meson else 'CMake'} alone")
if len(by_meson) < 100:
    print(f"Meson lists only {len(by_meson)} sources")
sys.exit(by_meson != by_cmake or len(by_meson) < 100)
PYTHON

# All in one file takes a third of the time.
status=0
for how in add_subdirectory FetchContent; do
  shared=OFF
  [[ $how == FetchContent ]] || shared=ON
  configure "$how" -DHOW="$how" -DBUILD_SHARED_LIBS=$shared -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=14 \
    -DCMAKE_CXX_FLAGS=-Werror
  cmake --build "$SCRATCH/$how" || fail "$how: it does not build"
  "$SCRATCH/$how/program" || status=$?
  ((status == 0 || status == 77)) || fail "$how: the program fails"
done

of_cmake=$SCRATCH/add_subdirectory/uring6/liburing6.so
version=$(project_version)
[[ $(readelf --dynamic "$of_cmake") == *"soname: [liburing6.so.${version%.*}]"* ]] || fail "the soname is another one"
readelf --dynamic "$of_cmake" | grep -q NODELETE || fail "dlclose unmaps code that the threads of run_blocking run"
foreign=$(nm --dynamic --defined-only --demangle "$of_cmake" | cut -d' ' -f3- | grep -vF uring6:: || true)
[[ -z $foreign ]] || fail "the library shows names that are not its own:"$'\n'"$foreign"
exit "$status"
