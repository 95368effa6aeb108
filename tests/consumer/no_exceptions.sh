#!/usr/bin/env bash
# A program without exceptions uses the installed library: the headers compile, operations work, and what would throw ends
# the program with its text. uring6/asio.hpp and uring6/stdexec.hpp are left out: their libraries need exceptions.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

install_library
read -ra compile_flags <<<"$(staged_flags --cflags)"
read -ra link_flags <<<"$(staged_flags --libs)"
flags=(-std=c++20 -fno-exceptions -Wall -Wextra -Werror "${compile_flags[@]}")
(cd "$stage$prefix/include" && find uring6 -name '*.hpp' -not -name asio.hpp -not -name stdexec.hpp -printf '#include <%p>\n') \
  >"$SCRATCH/all.cpp"
cat >"$SCRATCH/fails.cpp" <<'CPP'
// Ends as its argument says: by a failed call of the library, or by inline code of the headers.
#include <uring6/uring6.hpp>

#include <cstring>

namespace u6 = uring6;

int main(int, char** words) {
  u6::event_loop loop;
  if (std::strcmp(words[1], "library") == 0) u6::or_throw(u6::interface::by_name("none0"));
  const u6::result<int> failed = u6::fail(u6::errc::closed);
  return std::strcmp(words[1], "headers") == 0 ? failed.value() : 0;
}
CPP

for compiler in "$GXX" ${CLANGXX:+"$CLANGXX"}; do
  "$compiler" "${flags[@]}" -fsyntax-only "$SCRATCH/all.cpp" || fail "$compiler: the headers need exceptions"
  "$compiler" "${flags[@]}" "$here/program.cpp" "${link_flags[@]}" -o "$SCRATCH/program" || fail "$compiler: no program"
  status=0
  LD_LIBRARY_PATH=$library_dir "$SCRATCH/program" || status=$?
  ((status == 0 || status == 77)) || fail "$compiler: the program fails: $status"

  "$compiler" "${flags[@]}" "$SCRATCH/fails.cpp" "${link_flags[@]}" -o "$SCRATCH/fails" || fail "$compiler: no program"
  for end in "library:interface none0: no such network interface" "headers:the connection is closed"; do
    status=0
    said=$(ulimit -c 0 && LD_LIBRARY_PATH=$library_dir "$SCRATCH/fails" "${end%%:*}" 2>&1) || status=$?
    ((status == 134)) || fail "$compiler: a failure of the ${end%%:*} ends the program with $status and not by abort: $said"
    [[ $said == *"${end#*:}"* ]] || fail "$compiler: a failure of the ${end%%:*} says: $said"
  done
  LD_LIBRARY_PATH=$library_dir "$SCRATCH/fails" nothing || fail "$compiler: the program fails without a failure"
done
