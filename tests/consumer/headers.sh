#!/usr/bin/env bash
# Each installed header compiles alone with every compiler, also by -I with another project's warnings; says in an
# older mode of C++ what it needs, before anything else; none but ring.hpp brings liburing in; two files that include them all make
# one program (nothing is defined twice); and a program may name some members of each public struct, without a warning.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

install_library
flags=(-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror)
read -ra more <<<"$(staged_flags --cflags)"
read -ra libraries <<<"$(staged_flags --libs)"
flags+=("${more[@]}")

mapfile -t headers < <(cd "$stage$prefix/include" && find uring6 -name '*.hpp' | sort)
((${#headers[@]} > 0)) || fail "no header is installed"
mkdir "$SCRATCH/alone"
for header in "${headers[@]}"; do
  printf '#include <%s>\n' "$header" >"$SCRATCH/alone/${header//\//-}.cpp"
  [[ $header == uring6/ring.hpp ]] || printf '#include <%s>\n' "$header" >>"$SCRATCH/all.hpp"
done
printf '#include "all.hpp"\nvoid other();\nint main() { other(); }\n' >"$SCRATCH/one.cpp"
printf '#include "all.hpp"\nvoid other();\nvoid other() {}\n' >"$SCRATCH/two.cpp"

for compiler in "$GXX" ${CLANGXX:+"$CLANGXX"}; do
  printf '%s\0' "$SCRATCH"/alone/*.cpp | xargs -0 -n 1 -P "$(nproc)" "$compiler" "${flags[@]}" -fsyntax-only ||
    fail "$compiler: a header does not compile alone"
  # A directory that the compiler does not treat as the system's.
  "$compiler" -std=c++20 -Wall -Wextra -Wnon-virtual-dtor -Werror -I "$SOURCE/include" -fsyntax-only \
    "$SCRATCH/alone/uring6-uring6.hpp.cpp" || fail "$compiler: including everything warns"
  for header in "${headers[@]}"; do
    [[ $header != uring6/detail/* && $header != uring6/export.hpp ]] || continue
    said=$("$compiler" -std=c++17 -Wfatal-errors -I "$stage$prefix/include" -fsyntax-only "$SCRATCH/alone/${header//\//-}.cpp" 2>&1) &&
      fail "$compiler takes $header without C++20"
    grep -m 1 -F "error:" <<<"$said" | grep -q "uring6 needs C++20" ||
      fail "$compiler: the first error of $header without C++20 is another one: $said"
  done
  "$compiler" -std=c++20 -Wall -Wextra -Wconversion -Wshadow -Werror -I "$SOURCE/include" -fsyntax-only \
    "$here/designated.cpp" || fail "$compiler: a struct has a member without a default"
  "$compiler" "${flags[@]}" "$SCRATCH/one.cpp" "$SCRATCH/two.cpp" "${libraries[@]}" -o "$SCRATCH/both" ||
    fail "$compiler: two files with all headers do not make one program"
done

brought_in=$("$GXX" "${flags[@]}" -M "$SCRATCH/one.cpp" | grep -E '/(liburing(/[a-z_]*)?|linux/io_uring)\.h' || true)
[[ -z $brought_in ]] || fail "a public header includes liburing: $brought_in"

# The structs outside of uring6::detail, but for the result of when_any, which the library alone makes.
mapfile -t structs < <(find "$SOURCE/include/uring6" -name '*.hpp' -not -path '*/detail/*' -exec awk '
  /^namespace detail \{/ { inside = 1 }
  /^}  \/\/ namespace detail/ { inside = 0 }
  !inside && /^struct (URING6_EXPORT )?[a-z_0-9]+ \{/ { sub(/^struct (URING6_EXPORT )?/, ""); sub(/ .*/, ""); print }
' {} + | grep -vx when_any_result)
((${#structs[@]} > 50)) || fail "the search for structs finds only ${#structs[@]}"
for struct in "${structs[@]}"; do
  grep -qw "$struct" "$here/designated.cpp" || fail "tests/consumer/designated.cpp does not use $struct"
done
