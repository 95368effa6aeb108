# Sourced by the scripts beside it. tools/lib/run_tests.py gives them SOURCE, BUILD (built), SCRATCH, GXX and CLANGXX.
# shellcheck shell=bash
set -euo pipefail

export PKG_CONFIG_PATH
here=$SOURCE/tests/consumer
stage=$SCRATCH/stage

fail() {
  echo "$*"
  exit 1
}

skip() {
  echo "$*"
  exit 77
}

project_version() { sed -n "s/^  version: '\(.*\)',/\1/p" "$SOURCE/meson.build"; }

# Installs what BUILD holds under $stage, as a package would, and shows pkg-config its uring6.pc.
install_library() {
  local pc
  meson install -C "$BUILD" --no-rebuild --destdir "$stage" >"$SCRATCH/install.log" || fail "$(<"$SCRATCH/install.log")"
  pc=$(find "$stage" -name uring6.pc)
  [[ -n $pc ]] || fail "no uring6.pc is installed"
  PKG_CONFIG_PATH=$(dirname "$pc")
  library_dir=$(dirname "$PKG_CONFIG_PATH")
  prefix=$(realpath "$(pkg-config --variable=prefix uring6)")
  prefix=${prefix#"$(realpath "$stage")"}
}

# pkg-config's flags: uring6.pc finds the directories from its own, so they are the staged ones.
staged_flags() { pkg-config "$@" uring6; }
