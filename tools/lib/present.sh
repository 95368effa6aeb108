# Sourced by setup.sh: with --no-install nothing is installed, and missing programs are named before a build fails.
# shellcheck shell=bash

# One thing a line: group, name, the way to find it (program NAME..., library PKG-CONFIG-NAME HEADER, or
# sphinx MODULE for a module of the Python that runs Sphinx).
needed_things() {
  cat <<'TABLE'
build|Meson >= 1.0|program meson
build|ninja|program ninja ninja-build samu
build|pkg-config|program pkg-config pkgconf
build|liburing >= 2.3|library liburing liburing.h
build|fmt >= 9|library fmt fmt/core.h
build|libmnl >= 1.0.4|library libmnl libmnl/libmnl.h
build|CLI11 >= 2.1|library CLI11 CLI/CLI.hpp
build|nlohmann-json >= 3.11|library nlohmann_json nlohmann/json.hpp
test|Catch2 >= 3.4|library catch2-with-main catch2/catch_test_macros.hpp
docs|Doxygen|program doxygen
docs|Sphinx|program sphinx-build
docs|furo (a theme of Sphinx)|sphinx furo
docs|MyST (Markdown for Sphinx)|sphinx myst_parser
TABLE
}

# The compiler that Meson will take.
chosen_compiler() {
  local name
  for name in ${CXX:+"$CXX"} c++ g++ clang++; do
    # CXX may hold options or a launcher behind the name.
    if command -v "${name%% *}" >/dev/null; then
      printf '%s\n' "$name"
      return
    fi
  done
}

is_present() { # program NAME... | library PKG-CONFIG-NAME HEADER | sphinx MODULE
  local kind=$1 name compiler interpreter
  shift
  if [[ $kind == program ]]; then
    for name; do
      if command -v "$name" >/dev/null; then return 0; fi
    done
    return 1
  fi
  if [[ $kind == sphinx ]]; then
    interpreter=$(sed -n '1s/^#! *//p' "$(command -v sphinx-build)" 2>/dev/null)
    # shellcheck disable=SC2086 # "/usr/bin/env python3" is two words
    [[ -n $interpreter ]] && $interpreter -c "import $1" 2>/dev/null
    return
  fi
  if compgen -G "subprojects/$1*/meson.build" >/dev/null || pkg-config --exists "$1" 2>/dev/null; then return 0; fi
  read -ra compiler <<<"$(chosen_compiler)"
  "${compiler[@]}" -std=c++20 -E -x c++ - <<<"#include <$2>" >/dev/null 2>&1
}

# require_present GROUP...: ends with the names of what is missing.
require_present() {
  local group what how absent=() groups=" $* "
  # What the site needs is no reason to refuse the tests: without it they skip what they cannot check.
  if [[ $groups != " docs " ]]; then
    groups=${groups/ docs / }
    if [[ -z $(chosen_compiler) ]]; then absent+=("a C++ compiler (g++ >= 12 or clang >= 16)"); fi
  fi
  while IFS='|' read -r group what how; do
    [[ $groups == *" $group "* ]] || continue
    # shellcheck disable=SC2086 # the words of the table are arguments
    if [[ ${#absent[@]} -gt 0 && ${absent[0]} == a\ C++* && $how == library* ]]; then continue; fi
    # shellcheck disable=SC2086
    is_present $how </dev/null || absent+=("$what")
  done < <(needed_things)
  if ((${#absent[@]} == 0)); then return 0; fi
  local list
  printf -v list '%s, ' "${absent[@]}"
  stop_for_environment "missing, and --no-install installs nothing: ${list%, }"
}
