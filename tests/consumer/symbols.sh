#!/usr/bin/env bash
# The shared library shows uring6's names and no others, under the soname that its version asks for.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

library=$BUILD/lib/liburing6.so
shown=$(nm --dynamic --defined-only --demangle "$library" | cut -d' ' -f3-)
grep -q '^uring6::' <<<"$shown" || fail "the library shows nothing"
own='^((typeinfo|typeinfo name|vtable|guard variable) for |non-virtual thunk to )?(uring6::|fmt::.*formatter<uring6::)'
foreign=$(grep -Ev "$own" <<<"$shown" || true)
[[ -z $foreign ]] || fail "the library shows names that are not its own:"$'\n'"$foreign"

version=$(project_version)
soname=liburing6.so.${version%.*}
[[ $(readelf --dynamic "$library") == *"soname: [$soname]"* ]] || fail "the soname is not $soname"
