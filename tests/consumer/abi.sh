#!/usr/bin/env bash
# The shared library keeps the ABI of the last version with a tag: abidiff (abigail-tools) compares the two, each built
# with debug information. URING6_ABI_BASE names another revision than that tag. Exit status 77: there is no tag, or no
# abidiff.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

command -v abidiff >/dev/null || skip "there is no abidiff (abigail-tools)"
base=${URING6_ABI_BASE:-$(git -C "$SOURCE" describe --tags --abbrev=0 2>/dev/null || true)}
[[ -n $base ]] || skip "no version has a tag"

# A change of the minor version changes the soname before 1.0: then the ABI may differ.
git -C "$SOURCE" archive --prefix=before/ "$base" | tar -x -C "$SCRATCH"
now=$(project_version)
before=$(SOURCE=$SCRATCH/before project_version)
if [[ ${before%.*} != "${now%.*}" ]]; then
  echo "soname changed: $before to $now"
  exit 0
fi

build() { # source, build directory, version
  CXX=$GXX meson setup "$2" "$1" --wrap-mode=nodownload --buildtype=debugoptimized -Dtests=disabled -Dbench=disabled \
    -Dtools=disabled >"$2.log" 2>&1 && ninja -C "$2" "lib/liburing6.so.$3" >>"$2.log" 2>&1 || fail "$(tail -n 20 "$2.log")"
}
build "$SCRATCH/before" "$SCRATCH/base" "$before"
build "$SOURCE" "$SCRATCH/head" "$now"

# Bits of the status: 1 and 2 abidiff failed, 4 a change, 8 an incompatible one.
status=0
abidiff --no-show-locs --headers-dir1 "$SCRATCH/before/include" --headers-dir2 "$SOURCE/include" \
  "$SCRATCH/base/lib/liburing6.so.$before" "$SCRATCH/head/lib/liburing6.so.$now" >"$SCRATCH/abi" 2>&1 || status=$?
((status & 11)) && fail "the ABI differs from $base without a new soname:"$'\n'"$(head -n 100 "$SCRATCH/abi")"
exit 0
