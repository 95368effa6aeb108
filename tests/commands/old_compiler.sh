#!/usr/bin/env bash
# meson setup refuses a compiler that is too old, and names the oldest that it accepts. The old compilers are the installed
# ones, made to print an older version number.
set -euo pipefail

failures=0
refuses() { # COMPILER OLD: meson setup refuses the compiler when it prints version OLD
  local compiler=$1 old=$2 said
  # Meson reads clang's version from --version and that of g++ from its macros.
  cat >"$SCRATCH/compiler" <<SH
#!/bin/bash
case " \$* " in
  *" --version "*) "$compiler" --version | sed -E '1s/[0-9]+\.[0-9]+\.[0-9]+/$old/' ;;
  *" -dM "*) "$compiler" "\$@" | sed -E 's/(define __GNUC__) 1[0-9]+/\1 ${old%%.*}/' ;;
  *) exec "$compiler" "\$@" ;;
esac
SH
  chmod +x "$SCRATCH/compiler"
  if said=$(CXX="$SCRATCH/compiler" meson setup --wrap-mode=nodownload "$SCRATCH/old" "$SOURCE" 2>&1); then
    echo "$compiler as $old is taken:"
    echo "$said"
    failures=$((failures + 1))
  elif ! grep -qE "ERROR: .*uring6 needs (gcc 12|clang 16) or later; this is ${old%%.*}\." <<<"$said"; then
    echo "$compiler as $old is refused by other words:"
    echo "$said"
    failures=$((failures + 1))
  fi
  rm -rf "$SCRATCH/old"
}

refuses "$GXX" 11.2.0
if [[ -n $CLANGXX ]]; then refuses "$CLANGXX" 15.0.7; fi
exit "$((failures > 0))"
