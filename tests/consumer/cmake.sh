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
status=0
"$SCRATCH/cmake/program" || status=$?

# The Common Package Specification's file, which CMake 3 does not read: its paths lead to what is installed.
python3 - "$stage$prefix" <<'PYTHON' || fail "uring6.cps is wrong"
import json
import sys
from pathlib import Path

prefix = Path(sys.argv[1])
(file,) = prefix.rglob("uring6.cps")
package = json.loads(file.read_text())
component = package["components"]["uring6"]
paths = [package["cps_path"], component["location"], *component["includes"]]
for path in paths:
    if not (prefix / path.removeprefix("@prefix@/")).exists() or not path.startswith("@prefix@/"):
        sys.exit(f"{path} is not installed")
if prefix / package["cps_path"].removeprefix("@prefix@/") != file.parent:
    sys.exit(f"the file stands in {file.parent}, and not in {package['cps_path']}")
if not (prefix / component["includes"][0].removeprefix("@prefix@/") / "uring6/uring6.hpp").exists():
    sys.exit("the headers are elsewhere")
PYTHON
exit "$status"
