#!/usr/bin/env bash
# Debian's packages of HEAD, from the sources to a program that runs: dpkg-buildpackage, lintian without an error or a
# warning, apt on a machine that has nothing of the build any more, the program of README.md, and debian/tests by
# autopkgtest. Installs and removes packages, so it is for a machine that is thrown away, as root:
#
#     tests/consumer/debian_packages.sh --on-this-machine
#
# It is no part of tools/test; CONTRIBUTING.md has it in the list for a release.
set -euo pipefail

if [[ ${1:-} != --on-this-machine ]] || ((EUID != 0)); then
  sed -n '2,8s/^#\( \|$\)//p' "$0" >&2
  exit 2
fi
source=$(realpath "$(dirname "$0")/../..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export DEBIAN_FRONTEND=noninteractive

step() { printf '==> %s\n' "$*"; }
fail() {
  echo "$*" >&2
  exit 1
}
quietly() { "$@" >"$scratch/log" 2>&1 || fail "$*: $(tail -n 40 "$scratch/log")"; }
installed() { dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  *//p' | sort; }

step "the packages are built"
installed >"$scratch/before"
mkdir "$scratch/uring6"
git -C "$source" archive HEAD | tar -x -C "$scratch/uring6"
cd "$scratch/uring6"
quietly apt-get install -y --no-install-recommends dpkg-dev
quietly apt-get build-dep -y --no-install-recommends ./
quietly dpkg-buildpackage -b -us -uc
cd "$scratch"
for package in liburing6-0.1 liburing6-dev uring6-tools uring6-doc; do
  compgen -G "${package}_*.deb" >/dev/null || fail "there is no package $package"
done

step "lintian"
quietly apt-get install -y --no-install-recommends lintian
quietly lintian --allow-root --fail-on error,warning uring6_*.changes
cat "$scratch/log"

step "what the build needed is removed"
comm -13 "$scratch/before" <(installed) >"$scratch/added"
mapfile -t added <"$scratch/added"
quietly apt-get purge -y --autoremove --allow-remove-essential "${added[@]}"
! command -v g++ >/dev/null || grep -qx 'g++' "$scratch/before" || fail "the compiler is still there"

step "apt installs the packages, and README's program is built and answers"
quietly apt-get install -y --no-install-recommends ./liburing6*.deb ./uring6*.deb g++ pkgconf iproute2
mkdir readme
sed -n '/^```cpp program$/,/^```$/{//!p}' uring6/README.md >readme/service.cpp
# shellcheck disable=SC2046 # the flags are words
g++ -std=c++20 -Wall -Wextra -Werror readme/service.cpp $(pkg-config --cflags --libs uring6) -o readme/service
# A network of its own, with the interface that the program asks for.
answer=$(unshare --net bash -c '
  ip link set lo up
  ip link add eth0 type veth peer name far0
  ip link set eth0 up
  ip link set far0 up
  ./readme/service & service=$!
  trap "kill $service" EXIT
  until [[ $(< /proc/net/udp6) == *":0400 "* ]]; do kill -0 $service || exit 1; done
  exec 3<>/dev/udp/::1/1024
  printf hello >&3
  read -r -t 60 -n 5 text <&3
  printf %s "$text"') || fail "README's program does not run"
[[ $answer == hello ]] || fail "README's program answered '$answer'"
man -w uring6 >/dev/null 2>&1 || [[ -s /usr/share/man/man1/uring6.1.gz ]] || fail "there is no man page of the command"
[[ -s /usr/share/doc/uring6-doc/html/index.html ]] || fail "there is no site in uring6-doc"
uring6 probe || [[ $? == 3 ]] || fail "uring6 probe fails"

step "debian/tests"
quietly apt-get install -y --no-install-recommends autopkgtest
# Exit status 2: a test was skipped, or is superficial alone.
autopkgtest --quiet -B uring6/ ./*.deb -- null || (($? == 2)) || fail "autopkgtest fails"
step "all of it passed"
