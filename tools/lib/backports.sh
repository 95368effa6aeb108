# Sourced by setup.sh: Catch2, the one package that is too old in Debian 12, comes from bookworm-backports.
# shellcheck shell=bash
#
# No mirror is named here. The machine already has a source for the release itself, and the backports are at the same place.

# backports_source RELEASE SUITE URI FILE...: finds the first entry that serves SUITE from URI (from anywhere when
# empty) and rewrites it for RELEASE-backports with all its options kept (signing key, architecture, …).
# Prints the entry's form (list or sources) and then the entry; nothing when there is none.
backports_source() {
  local release=$1 suite=$2 uri=$3
  shift 3
  awk -v target="$release-backports" -v suite="$suite" -v uri="${uri%/}" '
    function has(list, word,   words, n, i) {
      n = split(list, words, /[ \t\n]+/)
      for (i = 1; i <= n; ++i) { sub(/\/$/, "", words[i]); if (words[i] == word) return 1 }
      return 0
    }
    function found(form, entry) { print form; print entry; done = 1; exit }

    # One line: deb [options] uri suite component...
    function one_line(line,   options, part) {
      sub(/[ \t]#.*/, "", line)
      sub(/^deb[ \t]+/, "", line)
      if (match(line, /^\[[^]]*\]/)) {
        options = substr(line, 1, RLENGTH) " "
        line = substr(line, RLENGTH + 1)
        sub(/^[ \t]+/, "", line)
      }
      split(line, part, /[ \t]+/)
      if (part[2] == suite && has(line, "main") && (uri == "" || has(part[1], uri)))
        found("list", "deb " options part[1] " " target " main")
    }

    # A stanza of fields (deb822), looked at when its last line has been read.
    function end_of_stanza() {
      if (has(value["types"], "deb") && has(value["suites"], suite) && has(value["components"], "main") &&
          (uri == "" || has(value["uris"], uri)) && tolower(value["enabled"]) !~ /^(no|false|off|0|disable)/)
        found("sources", "Types: deb\nSuites: " target "\nComponents: main" kept)
      split("", value)
      kept = ""
    }

    FNR == 1 && NR > 1 { end_of_stanza() }
    /^[ \t]*#/ { next }
    FILENAME ~ /\.list$/ { if ($1 == "deb") one_line($0); next }
    /^[ \t]*$/ { end_of_stanza(); next }
    /^[ \t]/ { value[field] = value[field] "\n" $0 }
    /^[^ \t]/ {
      field = tolower($0)
      sub(/[ \t]*:.*/, "", field)
      value[field] = $0
      sub(/^[^:]*:[ \t]*/, "", value[field])
    }
    field !~ /^(types|suites|components|enabled)$/ { kept = kept "\n" $0 }
    END { if (!done) end_of_stanza() }' "$@"
}

# enable_backports RELEASE PACKAGE...: adds the source, unless it is there.
enable_backports() {
  local release=$1 apt_dir=${APT_DIR:-/etc/apt} base_uri suite entry='' file files=()
  shift
  for file in "$apt_dir"/sources.list "$apt_dir"/sources.list.d/*.list "$apt_dir"/sources.list.d/*.sources; do
    if [[ -r $file ]]; then files+=("$file"); fi
  done
  if ((${#files[@]} > 0)); then
    if grep -qE "^[^#]*[[:space:]]$release-backports([[:space:]]|\$)" "${files[@]}"; then
      $DRY_RUN || stop_for_environment "$release-backports is configured but does not offer $* (is it pinned away?)"
      return 0
    fi
    # The package base-files always comes from the distribution's own source, whatever other sources there are.
    base_uri=$(LC_ALL=C apt-cache policy base-files |
      awk -v release="$release" '$3 == release "/main" || $3 ~ /^(old)?stable\/main$/ { print $2; exit }')
    for suite in "$release" oldstable stable; do
      [[ -n $entry ]] || entry=$(backports_source "$release" "$suite" "$base_uri" "${files[@]}")
    done
  fi
  [[ -n $entry ]] || stop_for_environment \
    "found no package source of $release to derive $release-backports from; add it by hand, then run this again"

  say "  $* comes from $release-backports, which is not among the package sources yet"
  write_as_root "$apt_dir/sources.list.d/uring6-backports.${entry%%$'\n'*}" "${entry#*$'\n'}"
  refresh_package_lists
}
