#!/usr/bin/env bash
# tools/quickstart, tools/test and tools/docs as commands: their options, exit statuses and warnings, and that a dry run changes
# nothing. They run in a copy of tools/ alone.
set -euo pipefail
. "$SOURCE/tests/commands/pretended_machine.sh"

copy=$SCRATCH/copy
mkdir "$copy"
cp -r "$SOURCE/tools" "$copy/tools"
export PROC=$SCRATCH/proc

kernel() { # RELEASE [DISABLED [GROUP]]: io_uring's settings in /proc; none for a kernel without them
  rm -rf "$PROC"
  mkdir -p "$PROC/sys/kernel"
  echo "$1" >"$PROC/sys/kernel/osrelease"
  if [[ -n ${2:-} ]]; then echo "$2" >"$PROC/sys/kernel/io_uring_disabled"; fi
  if [[ -n ${3:-} ]]; then echo "$3" >"$PROC/sys/kernel/io_uring_group"; fi
}

ends_with() { # STATUS COMMAND...: sets said
  local wanted=$1 status=0
  shift
  said=$("$@" 2>&1) || status=$?
  ((status == wanted)) && return
  echo "$*: ends with $status instead of $wanted and says:"
  echo "$said"
  failures=$((failures + 1))
}

kernel 6.1.0-28-amd64 0
machine debian 12
for command in "$copy/tools/quickstart" "$copy/tools/test"; do
  ends_with 0 "$command" --help
  check "--help" "$said" "^usage: tools/${command##*/} "
  ends_with 0 "$command" -h
  ends_with 2 "$command" --no-such-option
  check "a wrong option" "$said" "^usage: tools/${command##*/} "

  ends_with 0 "$command" --dry-run
  check "a dry run" "$said" "apt-get .* install .* g\+\+ "
  if [[ $command == */quickstart ]]; then
    check_not "a dry run: the tests' packages and their source are theirs" "$said" "catch2|backports"
  else
    check "a dry run" "$said" "apt-get .* install .* libcatch2-dev"
  fi
  check "a dry run" "$said" '^  \$ .*meson setup build/'
  check "a dry run" "$said" '^  \$ ninja -C build/'
  check_not "a dry run" "$said" "^warning: "
  ends_with 0 "$command" --dry-run --no-install
  check_not "a dry run without installing" "$said" "apt-get"
done
ends_with 2 "$copy/tools/test" --only
ends_with 2 "$copy/tools/test" --no-install --only no-such-part
check "a part that is not there" "$said" "no configuration no-such-part; there are gcc, scripts, readiness, valgrind, seeds, slow-scripts, "
ends_with 0 "$copy/tools/test" --dry-run --all
for part in gcc scripts readiness valgrind seeds slow-scripts docs clang release gcc-O0 sanitizers threads fuzzers; do
  check "all of it" "$said" "^==> $part \("
  check "the usage names each part" "$(<"$copy/tools/test")" "[ ,]$part\b"
done
check "all of it" "$said" "install .* furo python3-myst-parser "
ends_with 0 "$copy/tools/test" --dry-run --only docs
check "the site alone" "$said" "^==> docs \("
check_not "the site alone needs no compiler" "$said" "g\+\+|clang"
ends_with 0 "$copy/tools/docs" --help
check "--help" "$said" "^usage: tools/docs "
ends_with 2 "$copy/tools/docs" --no-such-option
ends_with 2 "$copy/tools/docs" one two
ends_with 0 "$copy/tools/docs" --dry-run
check "a dry run" "$said" "apt-get .* install .* doxygen python3-sphinx furo python3-myst-parser "
check "a dry run" "$said" '^  \$ python3 -B tools/site/build.py '
ends_with 0 "$copy/tools/test" --dry-run --seeds 1000000
check "a million seeds" "$said" "/schedules --seeds 1000000 --jobs "
check_not "a million seeds, and nothing else" "$said" "meson test"
ends_with 2 "$copy/tools/test" --seeds
ends_with 2 "$copy/tools/test" --no-install --seeds 0
ends_with 0 "$copy/tools/test" --dry-run --kernels 6.1:user newest
check "kernels alone" "$said" "^==> kernels \(under QEMU: 6.1:user newest\)"
check "kernels alone" "$said" "install .* qemu-system-x86 "
check_not "kernels alone" "$said" "^==> gcc|clang-19"
check_not "kernels of this processor" "$said" "aarch64"
ends_with 0 "$copy/tools/test" --dry-run --kernels 6.12@aarch64:root 6.1
check "kernels of another processor" "$said" "install .* g\+\+-aarch64-linux-gnu qemu-system-arm qemu-user( |$)"
check "kernels of another processor" "$said" "^==> kernels \(under QEMU: 6.12@aarch64:root\)"
check "kernels of another processor" "$said" "meson setup build/test-aarch64 .*--cross-file=tools/cross/aarch64.ini"
ends_with 2 "$copy/tools/test" --no-install --kernels 6.1@vax
check "a processor that is not there" "$said" "no processor vax; there are x86_64, aarch64, aarch64-16k$"
ends_with 2 "$copy/tools/test" --no-install --kernels 6.1:nobody
check "a setting that is not there" "$said" "no setting nobody; there are root, user, "
check_not "dry runs change nothing" "$(<"$CALLS")$(ls "$APT_DIR/sources.list.d")" .
check_not "dry runs change nothing" "$(diff -r "$SOURCE/tools" "$copy/tools" | grep -v pycache; ls "$copy")" "^tools.|^[^t]"

machine fedora 42
for command in "$copy/tools/quickstart" "$copy/tools/test"; do
  ends_with 3 "$command"
  check "an unknown distribution" "$said" "run this command again with --no-install"
done

# ---- --no-install on a machine that lacks something -----------------------------------------------------------------

machine debian 12
few=$SCRATCH/few # a PATH without Meson
mkdir "$few"
for program in awk bash cat cp dirname env g++ grep id mktemp ninja pkg-config python3 sed; do
  ln -s "$(command -v "$program")" "$few/$program"
done
for command in "$copy/tools/quickstart" "$copy/tools/test"; do
  PATH=$few ends_with 3 "$command" --no-install
  check "no Meson" "$said" "^error: missing, and --no-install installs nothing: Meson >= 1.0$"
done
PATH=$few ends_with 3 "$copy/tools/docs" --no-install
check "no Doxygen" "$said" "^error: missing, and --no-install installs nothing: Doxygen, Sphinx, furo .*, MyST .*$"
PATH=$few ends_with 3 "$copy/tools/test" --no-install --all
check "no Doxygen, which is no reason to refuse the tests" "$said" "installs nothing: Meson >= 1.0$"
# Neither pkg-config nor the compiler knows CLI11 and Catch2 here.
cat >"$stand_ins/pkg-config" <<'SH'
#!/bin/sh
case "$*" in *CLI11* | *catch2*) exit 1 ;; esac
exec /usr/bin/pkg-config "$@"
SH
cat >"$stand_ins/compiler" <<'SH'
#!/bin/sh
text=$(cat)
case "$text" in *CLI/* | *catch2/*) exit 1 ;; esac
printf '%s\n' "$text" | g++ "$@"
SH
chmod +x "$stand_ins/pkg-config" "$stand_ins/compiler"
CXX=compiler ends_with 3 "$copy/tools/quickstart" --no-install
check "no CLI11" "$said" "^error: missing, .*: CLI11 >= 2.1$"
CXX=compiler ends_with 3 "$copy/tools/test" --no-install
check "no CLI11 and no Catch2" "$said" "^error: missing, .*: CLI11 >= 2.1, Catch2 >= 3.4$"
rm "$stand_ins/pkg-config" "$stand_ins/compiler"

# ---- warnings about io_uring -----------------------------------------------------------------------------------------

warnings() { # [GROUP]: the warning for a user other than root, in that group
  local as=()
  if ((EUID == 0)); then
    as=(setpriv --reuid 65534 --regid 65534)
    if [[ -n ${1:-} ]]; then as+=(--groups "$1"); else as+=(--clear-groups); fi
  fi
  "${as[@]}" bash -c 'cd / && . "$1"/setup.sh && check_io_uring' - "$SCRATCH/copy/tools/lib" 2>&1
}
chmod -R go+rX "$SCRATCH"

if ((EUID == 0)) && ! setpriv --reuid 65534 --regid 65534 --clear-groups bash -c true 2>/dev/null; then
  ((failures == 0)) || exit 1
  echo "nobody but root may run a program here: what others are told of io_uring cannot be seen"
  exit 77
fi

# ---- errors for a user without root's rights ---------------------------------------------------------------------------

printf '#!/bin/sh\necho "sudo: you may not" >&2\nexit 1\n' >"$stand_ins/sudo"
machine debian 13
chmod -R go+rwX "$SCRATCH"
as_user() { if ((EUID == 0)); then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }
said=$(as_user "$copy/tools/quickstart" 2>&1) && { echo "quickstart without root ends with 0"; failures=$((failures + 1)); }
check "without root" "$said" "An administrator has to run, once:$"
check "without root" "$said" "^  apt-get update && apt-get install -y --no-install-recommends g\+\+ meson .* nlohmann-json3-dev$"
check_not "without root nothing is tried" "$(<"$CALLS")" .
machine debian 12
chmod -R go+rwX "$SCRATCH"
said=$(as_user "$copy/tools/test" 2>&1) && { echo "test without root ends with 0"; failures=$((failures + 1)); }
check "without root, with a source to add" "$said" "^  cd $copy && bash -c '\. tools/lib/setup.sh && set_up build test'$"
check_not "without root nothing is tried" "$(<"$CALLS")" .
printf '#!/bin/sh\nexec "$@"\n' >"$stand_ins/sudo"

kernel 5.10.0-8-amd64
check "an old kernel" "$(warnings)" "^warning: kernel 5.10.0-8-amd64 is older than 6.1"
kernel 6.0.12
check "an old kernel" "$(warnings)" "^warning: kernel 6.0.12 is older"
for release in 6.1.0-28-amd64 6.12 7.0.0; do
  kernel $release 0
  check_not "kernel $release" "$(warnings)" .
done
kernel 6.12.1 2
check "io_uring for no process" "$(warnings)" "^warning: kernel.io_uring_disabled is 2, so no process .* sysctl"
kernel 6.12.1 1 4242
if ((EUID == 0)); then
  check "io_uring for a group" "$(warnings 100)" "^warning: kernel.io_uring_disabled is 1, .*\(4242\)"
  check_not "io_uring for a member" "$(warnings 4242)" .
  check_not "io_uring for root" "$(. "$copy/tools/lib/setup.sh" && check_io_uring 2>&1)" .
else
  check "io_uring for a group" "$(warnings)" "^warning: kernel.io_uring_disabled is 1, .*\(4242\)"
fi

exit "$((failures > 0))"
