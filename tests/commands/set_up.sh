#!/usr/bin/env bash
# The changes of tools/quickstart and tools/test to a machine: the packages that they install, and their sources.
set -euo pipefail

. "$SOURCE/tests/commands/pretended_machine.sh"

set_up() ( # runs the set-up of these groups and prints its output
  cd "$SOURCE"
  . tools/lib/setup.sh
  set_up "$@" 2>&1
)

machine debian 12
said=$(DRY_RUN=true set_up build test)
check "Debian 12, dry run" "$said" "^deb \[signed-by=/key.gpg\] http://here.example/debian bookworm-backports main$"
check "Debian 12, dry run" "$said" "apt-get .* install .* libcatch2-dev"
check_not "a dry run changes nothing" "$(<"$CALLS")" .
check_not "a dry run changes nothing" "$(ls "$APT_DIR/sources.list.d")" .

said=$(set_up build test || true)
check "Debian 12" "$(<"$APT_DIR/sources.list.d/uring6-backports.list")" "^deb .* bookworm-backports main$"
check "Catch2 that stays away is an error" "$said" "^error: no package source offers libcatch2-dev"

said=$(set_up build test || true)
check "the backports are added once" "$said" "^error: bookworm-backports is configured"

echo libcatch2-dev >>"$OFFERED"
: >"$CALLS"
set_up build test >/dev/null
check "with the backports there" "$(<"$CALLS")" "install .* g\+\+ .* libcatch2-dev$"
check_not "with the backports there" "$(<"$CALLS")" " update$"

(. "$SOURCE/tools/lib/setup.sh" && package_entries 1 build test) | sed 's/@.*//' >"$INSTALLED"
: >"$CALLS"
said=$(set_up build test)
check "a second run" "$said" "^Every package needed is installed"
check_not "a second run installs nothing" "$(<"$CALLS")" .

sed -i /libmnl/d "$INSTALLED"
set_up build test >/dev/null
check "one package missing" "$(<"$CALLS")" "install -y --no-install-recommends libmnl-dev$"

machine debian 13
said=$(DRY_RUN=true set_up build test all)
check "Debian 13" "$said" "install .* libcatch2-dev clang-19 libclang-rt-19-dev cmake "
check_not "Debian 13 needs no backports" "$said" backports

machine ubuntu 24.04
sed -i 's/^.*19.*$//' "$OFFERED"
said=$(DRY_RUN=true set_up build test all)
check "the first clang that is offered" "$said" "install .* catch2 clang-18 libclang-rt-18-dev cmake "

machine fedora 42
status=0
said=$(set_up build test) || status=$?
check "an unknown distribution" "$said $status" "liburing-dev"
[[ $status == 3 ]] || { echo "an unknown distribution ends with $status"; failures=$((failures + 1)); }
said=$(INSTALL=false set_up build test)
check_not "--no-install installs nothing" "$said$(<"$CALLS")" .

# ---- deriving the backports' source from the forms a source can have ------------------------------------------------

derived() ( # FILE URI: the output of backports_source for a file
  . "$SOURCE/tools/lib/backports.sh"
  backports_source bookworm bookworm "$2" "$1"
)

cat >"$SCRATCH/one-line.list" <<'LIST'
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb [arch=amd64] https://vendor.example/linux bookworm stable
deb http://security.example/debian-security bookworm-security main
deb [arch=amd64 signed-by=/key.gpg]   http://one.example/debian/ bookworm main contrib # ours
deb http://two.example/debian bookworm main
LIST
check "one line" "$(derived "$SCRATCH/one-line.list" "")" \
  "^deb \[arch=amd64 signed-by=/key.gpg\] http://one.example/debian/ bookworm-backports main$"
check "one line, of two" "$(derived "$SCRATCH/one-line.list" http://two.example/debian)" \
  "^deb http://two.example/debian bookworm-backports main$"

cat >"$SCRATCH/stanzas.sources" <<'SOURCES'
# commented
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
# in between
URIs: http://one.example/debian/ http://two.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQ
SOURCES
said=$(derived "$SCRATCH/stanzas.sources" http://two.example/debian)
for line in sources "Types: deb" "Suites: bookworm-backports" "Components: main" \
  "URIs: http://one.example/debian/ http://two.example/debian" "Signed-By:" " \." " mQ"; do
  check "a stanza" "$said" "^$line$"
done
check_not "a stanza" "$said" "updates|contrib|off.example|security"
check_not "a source that is not there" "$(derived "$SCRATCH/stanzas.sources" http://three.example/debian)" .

exit "$((failures > 0))"
