#!/usr/bin/env bash
# The files for WrapDB, vcpkg and Conan, filled for an archive of HEAD: a Meson project takes uring6 by its wrap without a
# network; the recipes can be read, and name this archive, these dependencies and these options. Conan exports its recipe
# if it is installed; vcpkg itself is not run.
set -euo pipefail
. "$SOURCE/tests/consumer/common.sh"

version=$(project_version)
archive=$SCRATCH/uring6-$version.tar.gz
git -C "$SOURCE" archive --prefix="uring6-$version/" -o "$archive" HEAD 2>/dev/null || skip "this is no checkout of git"
filled=$SCRATCH/filled
"$SOURCE/packaging/fill" "$archive" "https://example.org/uring6-$version.tar.gz" https://example.org/uring6 "$filled" ||
  fail "packaging/fill fails"
left=$(grep -rnE '@[A-Z0-9]+@' "$filled" || true)
[[ -z $left ]] || fail "not filled in:"$'\n'"$left"

# The wrap: with the archive in Meson's cache nothing is fetched, and Meson checks the hash.
parent=$SCRATCH/parent
mkdir -p "$parent/subprojects/packagecache"
cp "$filled/wrapdb/uring6.wrap" "$parent/subprojects"
cp "$archive" "$parent/subprojects/packagecache"
cp "$here/program.cpp" "$parent/program.cpp"
cat >"$parent/meson.build" <<MESON
project('parent', 'cpp', default_options: ['cpp_std=c++20'])
uring6 = dependency('uring6')
assert(uring6.version() == '$version', 'the wrap gives another version: ' + uring6.version())
assert(uring6.type_name() == 'internal', 'uring6 comes from elsewhere: ' + uring6.type_name())
executable('program', 'program.cpp', dependencies: uring6)
MESON
CXX=$GXX meson setup "$parent/build" "$parent" --wrap-mode=nodownload --force-fallback-for=uring6 ||
  fail "a Meson project cannot take uring6 by its wrap"
printf 'octet' >>"$parent/subprojects/packagecache/uring6-$version.tar.gz"
rm -r "$parent/build" "$parent/subprojects/uring6-$version"
if CXX=$GXX meson setup "$parent/build" "$parent" --wrap-mode=nodownload --force-fallback-for=uring6 >/dev/null; then
  fail "the wrap takes an archive with another hash"
fi

# vcpkg's port, read by CMake: these commands stand in for those of vcpkg and write down how they were called.
if command -v cmake >/dev/null; then
  cat >"$SCRATCH/read.cmake" <<'CMAKE'
foreach(command vcpkg_download_distfile vcpkg_extract_source_archive vcpkg_configure_meson vcpkg_install_meson
                vcpkg_cmake_config_fixup vcpkg_fixup_pkgconfig vcpkg_install_copyright)
  cmake_language(EVAL CODE "function(${command})\n message(\"${command} \${ARGV}\")\nendfunction()")
endforeach()
set(CURRENT_PACKAGES_DIR "${SCRATCH}/vcpkg-package")
set(PORT uring6)
include("${PORT_FOLDER}/portfile.cmake")
CMAKE
  cmake -DSCRATCH="$SCRATCH" -DVERSION="$version" -DPORT_FOLDER="$filled/vcpkg/uring6" -P "$SCRATCH/read.cmake" \
    >"$SCRATCH/calls" 2>&1 || fail "CMake cannot read the portfile: $(<"$SCRATCH/calls")"
  sum=$(sha512sum "$archive" | cut -d' ' -f1)
  grep -q "^vcpkg_download_distfile .*uring6-$version.tar.gz;SHA512;$sum$" "$SCRATCH/calls" ||
    fail "the portfile fetches another archive: $(<"$SCRATCH/calls")"
  [[ -s $SCRATCH/vcpkg-package/share/uring6/usage ]] || fail "the portfile installs no usage"
  read -ra options <<<"$(sed -n 's/^vcpkg_configure_meson .*;OPTIONS;//p' "$SCRATCH/calls" | tr ';' ' ')"
  ((${#options[@]} > 2)) || fail "the portfile sets no options"
  CXX=$GXX meson setup "$SCRATCH/by-vcpkg" "$SOURCE" "${options[@]}" >"$SCRATCH/options.log" 2>&1 ||
    fail "Meson does not take the portfile's options: $(<"$SCRATCH/options.log")"
else
  echo "there is no cmake: the portfile was not read"
fi

# What the recipes say is what the build asks for.
python3 - "$SOURCE" "$filled" "$version" "$(sha256sum "$archive" | cut -d' ' -f1)" <<'PYTHON' || fail "a recipe is wrong"
import ast
import json
import re
import sys
from pathlib import Path

source, filled, version, sha256 = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
needed = dict(re.findall(r"dependency\('(\w+)', version: '>=([\d.]+)'", (source / "meson.build").read_text()))
assert set(needed) == {"liburing", "fmt", "libmnl"}, f"the library needs {needed}: tell the recipes"

port = json.loads((filled / "vcpkg/uring6/vcpkg.json").read_text())
assert port["version"] == version and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", port["name"])
given = {each["name"]: each.get("version>=") for each in port["dependencies"]}
for name in ("liburing", "fmt"):
    assert given[name].startswith(needed[name]), f"vcpkg.json: {name} {given[name]} is not {needed[name]}"

recipe = (filled / "conan/all/conanfile.py").read_text()
ast.parse(recipe)
asked = dict(re.findall(r'self\.requires\("(\w+)/\[>=([\d.]+) ', recipe))
assert asked == {name: least.removesuffix(".0") for name, least in needed.items()}, f"conanfile.py asks for {asked}"
data = (filled / "conan/all/conandata.yml").read_text()
assert f'"{version}":' in data and f'sha256: "{sha256}"' in data, "conandata.yml names another archive"
assert f'"{version}":' in (filled / "conan/config.yml").read_text()

releases = json.loads((filled / "wrapdb/releases.json").read_text())["uring6"]
provided = re.search(r"^dependency_names = (.*)$", (filled / "wrapdb/uring6.wrap").read_text(), re.M)[1].split(", ")
assert releases["versions"][0] == version + "-1" and releases["dependency_names"] == provided
json.loads((filled / "wrapdb/ci_config.json").read_text())
PYTHON

if command -v conan >/dev/null; then
  CONAN_HOME=$SCRATCH/conan-home conan export "$filled/conan/all" --version "$version" >"$SCRATCH/conan.log" 2>&1 ||
    fail "conan does not export the recipe: $(<"$SCRATCH/conan.log")"
else
  echo "there is no conan: its recipe was parsed only"
fi
"$GXX" -std=c++20 -Wall -Wextra -Werror -I "$SOURCE/include" -fsyntax-only \
  "$filled/conan/all/test_package/test_package.cpp" || fail "the program of Conan's test package does not compile"
