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

# Each function of a detail namespace that is shown is one that programs need: an inline function of a header calls it.
# Which ones these are show the objects of the tests, and one that has all inline functions of the headers. Constructors
# and destructors are left out, of which the compiler makes several at once. URING6_HIDDEN hides the others.
[[ -e $BUILD/tests/test-unit && -e $BUILD/tests/test-net ]] || skip "the tests are not built: which functions programs need is unknown"
(cd "$SOURCE/include" && find uring6 -name '*.hpp' -printf '#include "%p"\n') >"$SCRATCH/all.cpp"
"$GXX" -std=c++20 -O0 -fkeep-inline-functions -I "$SOURCE/include" -c "$SCRATCH/all.cpp" -o "$SCRATCH/all.o"
needed=$(find "$BUILD" "$SCRATCH/all.o" -name '*.o' -not -path "$BUILD/lib/*" -print0 |
  xargs -0 nm --undefined-only | awk '$1 == "U" { print $2 }' | sort -u)
nm --dynamic --defined-only "$library" | awk '$2 ~ /[TW]/ { print $3 }' | sort -u >"$SCRATCH/functions"
needless=$(comm -23 "$SCRATCH/functions" <(echo "$needed") | c++filt | grep -E '^uring6::v[0-9]+::(icmp::)?detail::' |
  grep -Ev '(^|::)([a-z_]+)::~?\2\(' || true)
# A header of a library that may be missing here (stdexec, Asio) calls it by its name.
for function in $(sed -E 's/\(.*//; s/.*:://' <<<"$needless" | sort -u); do
  grep -qE "\b$function\(" "$SOURCE/include/uring6/stdexec.hpp" "$SOURCE/include/uring6/asio.hpp" &&
    needless=$(grep -v "::$function(" <<<"$needless" || true)
done
# The compiler keeps no inline destructors: a function that one of them calls is needed.
for function in $(sed -E 's/\(.*//; s/.*:://' <<<"$needless" | sort -u); do
  grep -rqE "~[a-z_]+\(\) *(noexcept *)?\{[^}]*\b$function\(" "$SOURCE/include" &&
    needless=$(grep -v "::$function(" <<<"$needless" || true)
done
[[ -z $needless ]] || fail "no header needs these functions, mark them URING6_HIDDEN:"$'\n'"$needless"
