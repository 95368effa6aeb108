#!/usr/bin/env bash
# tools/quickstart, without its installation of packages: it builds a release, shows the demo, and builds nothing the
# second time. BUILD is a configured release.
set -euo pipefail

fail() {
  echo "$*"
  exit 1
}

export URING6_BUILD=$BUILD
for time in first second; do
  said=$("$SOURCE/tools/quickstart" --no-install 2>&1) || fail "the $time time it ends with $?: $said"
  for line in "^==> Building a release in $BUILD$" "^==> uring6 demo$" "^burst: 100000 of 100000 datagrams" \
    "^every datagram arrived as it was sent$"; do
    grep -qE "$line" <<<"$said" || fail "the $time time no line matches $line in:"$'\n'"$said"
  done
done
grep -q "ninja: no work to do" <<<"$said" || fail "the second time it builds again:"$'\n'"$said"
grep -q "meson setup" <<<"$said" && fail "the second time it configures again"
exit 0
