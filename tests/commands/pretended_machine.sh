# Sourced by the scripts beside it: machines on which a set-up can be tried. The package tools are replaced, the package
# sources name hosts that do not exist, and only the scratch directory is changed.
# shellcheck shell=bash

failures=0
stand_ins=$SCRATCH/bin
mkdir -p "$stand_ins"
export PATH=$stand_ins:$PATH APT_DIR=$SCRATCH/apt OS_RELEASE=$SCRATCH/os-release
export INSTALLED=$SCRATCH/installed OFFERED=$SCRATCH/offered CALLS=$SCRATCH/calls

# dpkg-query -W -f=… NAME and apt-cache policy NAME answer from two lists; apt-get and writes with root's rights are recorded.
cat >"$stand_ins/dpkg-query" <<'SH'
#!/bin/sh
if grep -qx "$3" "$INSTALLED"; then echo installed; else echo not-installed; fi
SH
cat >"$stand_ins/apt-cache" <<'SH'
#!/bin/sh
if grep -qx "$2" "$OFFERED"; then echo "  Candidate: 1"; else echo "  Candidate: (none)"; fi
[ "$2" = base-files ] && echo " 500 http://here.example/debian bookworm/main amd64 Packages"
exit 0
SH
cat >"$stand_ins/apt-get" <<'SH'
#!/bin/sh
echo "apt-get $*" >>"$CALLS"
SH
printf '#!/bin/sh\nexec "$@"\n' >"$stand_ins/sudo"
chmod +x "$stand_ins"/*

machine() { # ID VERSION: a machine with nothing installed, everything offered but the backports, one package source
  printf 'ID=%s\nVERSION_ID="%s"\nPRETTY_NAME="%s %s"\n' "$1" "$2" "$1" "$2" >"$OS_RELEASE"
  rm -rf "$APT_DIR"
  mkdir -p "$APT_DIR/sources.list.d"
  printf 'deb [signed-by=/key.gpg] http://here.example/debian bookworm main\n' >"$APT_DIR/sources.list"
  : >"$INSTALLED"
  : >"$CALLS"
  sed -e 's/#.*//' -e 's/libcatch2-dev@backports//' "$SOURCE/tools/lib/packages" | tr -s ' |' '\n' | sort -u >"$OFFERED"
  [[ $1 == debian && $2 == 12 ]] && sed -i '/^libcatch2-dev$/d' "$OFFERED"
  return 0
}

check() { # WHAT TEXT PATTERN: an extended regular expression that a line of TEXT must match
  grep -qE -e "$3" <<<"$2" && return
  echo "$1: no line matches $3 in:"
  echo "$2"
  failures=$((failures + 1))
}

check_not() {
  grep -qE -e "$3" <<<"$2" || return 0
  echo "$1: a line matches $3 in:"
  echo "$2"
  failures=$((failures + 1))
}
