"""The kernels that Debian offers, and the download of one of them.

The mirror is the one that this machine's own package sources name. Lists and packages are kept in a directory of their
own, so nothing about the machine's packages changes, and root's rights are not needed.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

STORE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uring6" / "kernels"

# Together they hold 5.10, 6.1, 6.12 and the newest. Of these kernels the "cloud" flavour is taken: its drivers are those
# of virtual machines, so it is a third of the size and boots in half of the time.
SUITES = ["debian bookworm", "debian bookworm-backports", "debian-security bookworm-security",
          "debian trixie", "debian trixie-backports", "debian-security trixie-security",
          "debian-security bullseye-security"]
FLAVOUR = "cloud-amd64"
# Since Linux 6.19 Debian splits the image, the modules and the package that depends on both.
PARTS = ["image", "binary", "modules"]
KEY_RING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """Why a kernel cannot be had: the reason for a skip."""


@dataclass(frozen=True)
class Kernel:
    version: str  # as Debian names it: "6.1.0-57", "7.3.4+deb13"
    directory: Path

    @property
    def image(self):
        return next(self.directory.rglob("vmlinuz*"))

    @property
    def modules(self):
        """The directory that is named like the release: "6.1.0-57-cloud-amd64"."""
        return next(path for path in self.directory.glob("**/lib/modules/*") if path.is_dir())


def as_numbers(version):
    return tuple(int(number) for number in re.findall(r"\d+", version))


def choose(wanted, versions):
    """The newest of the versions that `wanted` ("6.1", "6.12.117", "newest") stands for, or None."""
    if wanted != "newest":
        first = as_numbers(wanted)
        versions = [version for version in versions if as_numbers(version)[:len(first)] == first]
    return max(versions, key=as_numbers, default=None)


class Catalogue:
    def __init__(self, store=STORE):
        self.store = store
        self.apt = store / "apt"

    def fetch(self, wanted):
        """The kernel that `wanted` stands for, unpacked. Throws Unavailable."""
        version = choose(wanted, self.versions())
        if version is None:
            raise Unavailable(f"Debian's registry offers no kernel {wanted}")
        target = self.store / version
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            self._unpack(version, target)
            (target / "complete").touch()
        return Kernel(version, target)

    def versions(self):
        self._know_the_registry()
        pattern = rf"^linux-image-[0-9].*-{FLAVOUR}$"
        found = self._run("apt-cache", "search", "--names-only", pattern).split("\n")
        names = [line.split(" ")[0] for line in found if line]
        versions = [name.removeprefix("linux-image-").removesuffix(f"-{FLAVOUR}") for name in names]
        # A package name without a third number is a metapackage that depends on the newest kernel.
        return [version for version in versions if re.match(r"\d+\.\d+\.\d+", version)]

    def _unpack(self, version, target):
        packages = self.store / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            name = f"linux-{part}-{version}-{FLAVOUR}"
            if not self._run("apt-cache", "search", "--names-only", f"^{re.escape(name)}$"):
                continue
            self._run("apt-get", "download", name, cwd=packages)
            for file in packages.glob(f"{name}_*.deb"):
                subprocess.run(["dpkg-deb", "--extract", file, target], check=True)
                file.unlink()

    def _know_the_registry(self):
        sources = self.apt / "sources.list"
        lists = self.apt / "lists"
        wanted = "".join(f"{line}\n" for line in self._sources())
        if sources.exists() and sources.read_text() == wanted and any(lists.glob("*_Packages*")):
            return
        for directory in (lists / "partial", self.apt / "archives" / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        (self.apt / "status").touch()
        sources.write_text(wanted)
        # A mirror without one of the suites still has the kernels of the others.
        self._run("apt-get", "update", judged=False)
        if not any(lists.glob("*_Packages*")):
            raise Unavailable("apt-get could not read Debian's lists of packages")

    def _sources(self):
        """The lines of a sources.list, derived from where this machine gets Debian's packages."""
        form = "$(REPO_URI) $(SIGNED_BY)"
        listed = subprocess.run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
                                capture_output=True, text=True).stdout
        places = dict(line.split(" ", 1) for line in listed.splitlines())
        mirror = next((place for place in places if place.rstrip("/").endswith("/debian")), None)
        if mirror is None:
            raise Unavailable("no package source of this machine is a mirror of Debian, so there are no kernels to boot")
        signed = places[mirror] if places[mirror].startswith("/") else KEY_RING
        base = mirror.rstrip("/").removesuffix("/debian")
        elsewhere = next((place.rstrip("/") for place in places if place.rstrip("/").endswith("/debian-security")), None)
        for suite in SUITES:
            archive, name = suite.split(" ")
            place = elsewhere if archive == "debian-security" and elsewhere else f"{base}/{archive}"
            yield f"deb [signed-by={signed}] {place} {name} main"

    def _run(self, *words, cwd=None, judged=True):
        options = {"Dir::Etc::sourcelist": self.apt / "sources.list", "Dir::Etc::sourceparts": "/nonexistent",
                   "Dir::State::lists": self.apt / "lists", "Dir::State::status": self.apt / "status",
                   "Dir::Cache": self.apt, "Dir::Cache::archives": self.apt / "archives",
                   "APT::Sandbox::User": "root", "Acquire::Languages": "none"}
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        result = subprocess.run([words[0], *given, "-q", *words[1:]], cwd=cwd, capture_output=True, text=True)
        if judged and result.returncode != 0:
            raise Unavailable(f"{' '.join(words)}: {result.stderr.strip()}")
        return result.stdout
