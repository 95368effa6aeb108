"""Debian's packages of one architecture, read by apt from the mirror that this machine's own package sources name.

Lists and packages are kept in a directory of their own, so nothing about the machine's packages changes, no
architecture is added to them, and root's rights are not needed.
"""

import os
import subprocess
import time
from pathlib import Path

from kernels.processor import Unavailable

# Together they hold the kernels 5.10, 6.1, 6.12 and the newest.
SUITES = ["debian bookworm", "debian bookworm-backports", "debian-security bookworm-security",
          "debian trixie", "debian trixie-backports", "debian-security trixie-security",
          "debian-security bullseye-security"]
# Seconds after which the lists are read again: a mirror drops a package when a newer one replaces it.
LISTS_HOLD = 24 * 60 * 60
RETRY_AFTER = 60 * 60  # seconds after an update with an error
KEY_RING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Registry:
    def __init__(self, directory, architecture):
        self.directory = directory
        self.architecture = architecture

    def search(self, pattern):
        """The names that match the regular expression."""
        found = self.run("apt-cache", "search", "--names-only", pattern).split("\n")
        return [line.split(" ")[0] for line in found if line]

    def download(self, name, into):
        """Downloads one package; returns its file."""
        into.mkdir(parents=True, exist_ok=True)
        for older in into.glob(f"{name}_*.deb"):  # of a download that was interrupted
            older.unlink()
        self.run("apt-get", "download", name, cwd=into)
        return next(into.glob(f"{name}_*.deb"))

    def download_all(self, names, release):
        """Downloads packages of a release of Debian with all that they depend on; returns the files."""
        archives = self.directory / "archives"
        self.run("apt-get", "install", "--download-only", "--yes", "--no-install-recommends",
                 "--target-release", release, *names)
        return sorted(archives.glob("*.deb"))

    def run(self, *words, cwd=None):
        self._know_the_packages()
        return self._run(*words, cwd=cwd)

    def _know_the_packages(self):
        sources = self.directory / "sources.list"
        lists = self.directory / "lists"
        wanted = "".join(f"{line}\n" for line in self._sources())
        known = sources.exists() and sources.read_text() == wanted and any(lists.glob("*_Packages*"))
        if known and time.time() - sources.stat().st_mtime < LISTS_HOLD:
            return
        for directory in (lists / "partial", self.directory / "archives" / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "status").touch()
        sources.write_text(wanted)
        os.utime(sources, (0, 0))  # an update that is interrupted is made again by the next call
        # A mirror without one of the suites still has the kernels of the others; apt-get reports an error then.
        updated = self._apt("apt-get", "update").returncode == 0
        if not any(lists.glob("*_Packages*")):
            raise Unavailable("apt-get could not read Debian's lists of packages")
        stamp = time.time() - (0 if updated else LISTS_HOLD - RETRY_AFTER)
        os.utime(sources, (stamp, stamp))

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

    def _run(self, *words, cwd=None):
        result = self._apt(*words, cwd=cwd)
        if result.returncode != 0:
            raise Unavailable(f"{' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def _apt(self, *words, cwd=None):
        options = {"APT::Architecture": self.architecture, "APT::Architectures": self.architecture,
                   "Dir::Etc::sourcelist": self.directory / "sources.list", "Dir::Etc::sourceparts": "/nonexistent",
                   "Dir::State::lists": self.directory / "lists", "Dir::State::status": self.directory / "status",
                   "Dir::Cache": self.directory, "Dir::Cache::archives": self.directory / "archives",
                   "APT::Sandbox::User": "root", "Acquire::Languages": "none"}
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return subprocess.run([words[0], *given, "-q", *words[1:]], cwd=cwd, capture_output=True, text=True)
