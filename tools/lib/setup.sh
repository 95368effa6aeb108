# Sourced by tools/quickstart and tools/test: the common steps of the two commands before a build.
# shellcheck shell=bash
#
# Sets the machine up by its own package manager and from its own package sources, and only with missing packages.
# Reads DRY_RUN (true: print each command that changes something, run none) and INSTALL (false: install nothing).

library_dir=$(dirname "${BASH_SOURCE[0]}")
. "$library_dir/backports.sh"
. "$library_dir/present.sh"

DRY_RUN=${DRY_RUN:-false}
INSTALL=${INSTALL:-true}

# Exit status of both commands when the machine, not the code, is the reason.
readonly exit_environment=3

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' plain=$'\e[0m'
else
  bold='' plain=''
fi

say() { printf '%s\n' "$*"; }
step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
stop_for_environment() {
  printf 'error: %s\n' "$*" >&2
  exit "$exit_environment"
}

# Prints a command the way it could be typed, then runs it unless this is a dry run.
run() {
  local words
  printf -v words ' %q' "$@"
  say "  \$$words"
  $DRY_RUN || "$@"
}

# The same with root's rights.
run_as_root() {
  if ((EUID == 0)); then
    run "$@"
  elif command -v sudo >/dev/null; then
    run sudo "$@"
  else
    run "$@" # a dry run: require_root has ended any other
  fi
}

# require_root GROUP...: ends with the one command that an administrator has to run where this user cannot be root.
require_root() {
  local command="apt-get update && apt-get install -y --no-install-recommends ${chosen[*]}"
  if $DRY_RUN || ((EUID == 0)) || { command -v sudo >/dev/null && sudo true 2>/dev/null; }; then return 0; fi
  # A package source has to be added, too: the set-up itself has the command for that.
  if ((${#from_backports[@]} > 0)); then command="cd $PWD && bash -c '. tools/lib/setup.sh && set_up $*'"; fi
  stop_for_environment "packages are missing, which only root can install. An administrator has to run, once:
  $command"
}

# write_as_root FILE TEXT
write_as_root() {
  local tee=(tee "$1")
  if ((EUID != 0)); then tee=(sudo "${tee[@]}"); fi
  say "  \$ ${tee[*]} <<'END'"
  say "$2"
  say "END"
  $DRY_RUN || printf '%s\n' "$2" | "${tee[@]}" >/dev/null
}

apt_get() { run_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
refresh_package_lists() { apt_get update || stop_for_environment "apt-get could not read the package sources"; }

# ---- which machine this is -------------------------------------------------------------------------------------------

# Prints the column of the package table for this machine, or nothing when it has none.
package_column() {
  local ID='' VERSION_ID='' os_release=${OS_RELEASE:-/etc/os-release}
  # shellcheck source=/dev/null
  [[ -r $os_release ]] && . "$os_release"
  case $ID-$VERSION_ID in
    debian-12) say 1 ;;
    debian-13) say 2 ;;
    ubuntu-24.04) say 3 ;;
  esac
}

machine_name() {
  local PRETTY_NAME='' os_release=${OS_RELEASE:-/etc/os-release}
  # shellcheck source=/dev/null
  [[ -r $os_release ]] && . "$os_release"
  say "${PRETTY_NAME:-an unknown distribution}"
}

# package_entries COLUMN GROUP...: the table's entries for one distribution, one a line.
package_entries() {
  local column=$1 group
  shift
  for group in "$@"; do
    awk -v group="$group" -v column="$column" '
      $1 == group { entry = $(column + 1); print entry == "=" ? $2 : entry }' "$library_dir/packages"
  done
}

# ---- what is there and what is missing -------------------------------------------------------------------------------

# No pipe into grep -q here: it closes the pipe at the first match, and pipefail then reports the writer's SIGPIPE.
is_installed() {
  local states # one a line, one for each architecture
  states=$(dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null) || return 1
  [[ $'\n'$states$'\n' == *$'\ninstalled\n'* ]]
}

is_offered() { [[ $(LC_ALL=C apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [^\(] ]]; }

# Sets missing=() to the entries of which no alternative is installed.
find_missing() {
  local entry name names found
  missing=()
  for entry in "$@"; do
    found=false
    IFS='|' read -ra names <<<"${entry%@*}"
    for name in "${names[@]}"; do
      if is_installed "$name"; then found=true; fi
    done
    $found || missing+=("$entry")
  done
}

# Sets chosen=() to one package for each missing entry, and unoffered=() to the entries no package source offers.
choose_packages() {
  local entry name names pick
  chosen=() unoffered=()
  for entry in "${missing[@]}"; do
    pick=''
    IFS='|' read -ra names <<<"${entry%@*}"
    for name in "${names[@]}"; do
      if [[ -z $pick ]] && is_offered "$name"; then pick=$name; fi
    done
    [[ -n $pick ]] || unoffered+=("$entry")
    chosen+=("${pick:-${names[0]}}")
  done
}

# ---- the whole set-up ------------------------------------------------------------------------------------------------

list_needed_packages() {
  say "uring6 knows how to set up Debian 12, Debian 13 and Ubuntu 24.04; this is $(machine_name)."
  say "It needs g++ >= 12 (or clang >= 16), Meson >= 1.0, ninja, pkg-config and, with their headers:"
  say "  liburing >= 2.3   fmt >= 9   libmnl >= 1.0.4   CLI11 >= 2.1   nlohmann-json >= 3.11"
  say "  for the tests: Catch2 >= 3.4   for tools/test --all: clang >= 16 with its runtime libraries, cmake"
  say "  for tools/docs: Doxygen, Sphinx with furo and MyST; and it checks man pages by mandoc"
  say "Debian 13 calls them:"
  package_entries 2 "$@" | sed 's/^/  /'
  say "With those in place, run this command again with --no-install."
}

# set_up GROUP...: installs the packages of these groups that are missing.
set_up() {
  local column entries missing chosen unoffered entry from_backports=()
  if ! $INSTALL; then
    $DRY_RUN || require_present "$@"
    return 0
  fi
  column=$(package_column)
  if [[ -z $column ]]; then
    list_needed_packages "$@" >&2
    exit "$exit_environment"
  fi
  mapfile -t entries < <(package_entries "$column" "$@")
  find_missing "${entries[@]}"
  if ((${#missing[@]} == 0)); then
    say "Every package needed is installed ($(machine_name))."
    return 0
  fi
  step "Installing what is missing on $(machine_name)"
  choose_packages
  for entry in "${unoffered[@]}"; do
    if [[ $entry == *@backports ]]; then from_backports+=("${entry%@*}"); fi
  done
  require_root "$@"
  if ((${#unoffered[@]} > 0)); then
    refresh_package_lists
    choose_packages
  fi
  from_backports=()
  for entry in "${unoffered[@]}"; do
    if [[ $entry == *@backports ]]; then from_backports+=("${entry%@*}"); fi
  done
  if ((${#from_backports[@]} > 0)); then
    enable_backports bookworm "${from_backports[@]}"
    choose_packages
  fi
  if ! $DRY_RUN && ((${#unoffered[@]} > 0)); then
    stop_for_environment "no package source offers ${unoffered[*]} (on Ubuntu, is \"universe\" enabled?)"
  fi
  if ! apt_get install -y --no-install-recommends "${chosen[@]}"; then
    say "  The package lists may be stale; once more with new ones."
    refresh_package_lists
    apt_get install -y --no-install-recommends "${chosen[@]}" ||
      stop_for_environment "apt-get could not install ${chosen[*]}"
  fi
}

# ---- io_uring --------------------------------------------------------------------------------------------------------

# Warns of the reasons for a missing io_uring that a shell can see. The command itself (uring6 demo) then tries io_uring.
check_io_uring() {
  local kernel=${PROC:-/proc}/sys/kernel release major minor disabled=0 group=-1
  release=$(<"$kernel/osrelease")
  IFS=.- read -r major minor _ <<<"$release"
  if ((major < 6 || (major == 6 && minor < 1))); then
    warn "kernel $release is older than 6.1, the oldest uring6 is made for: install a newer kernel" \
      "(Debian 12's own is 6.1)"
  fi
  if [[ -r $kernel/io_uring_disabled ]]; then disabled=$(<"$kernel/io_uring_disabled"); fi
  if [[ -r $kernel/io_uring_group ]]; then group=$(<"$kernel/io_uring_group"); fi
  if ((disabled == 2)); then
    warn "kernel.io_uring_disabled is 2, so no process may use io_uring. To allow it:" \
      "sudo sysctl kernel.io_uring_disabled=0"
  elif ((disabled == 1 && EUID != 0)) && [[ " $(id -G) " != *" $group "* ]]; then
    warn "kernel.io_uring_disabled is 1, so only root and the group kernel.io_uring_group ($group) may use io_uring." \
      "To allow it: sudo sysctl kernel.io_uring_disabled=0"
  fi
}
