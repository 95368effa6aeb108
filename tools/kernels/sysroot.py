"""Debian's packages of another processor, unpacked into a directory: what the programs are cross-built with
(tools/cross/), and what a guest has beside them.
"""

import shutil
import subprocess

from kernels.processor import STORE, Unavailable, find_emulators
from kernels.registry import Registry
from kernels.system import Sysroot, System

# The same releases as those of the cross compiler, whose C++ library the programs find in the guest.
RELEASES = ["bookworm", "trixie"]
BUILT_WITH = ["liburing-dev", "libfmt-dev", "libmnl-dev", "nlohmann-json3-dev", "libcatch2-dev"]
RUN_WITH = ["libstdc++6", "python3", "iproute2", "kmod", "mount"]
# As in tools/lib/packages.
FROM_BACKPORTS = {"bookworm": ["libcatch2-dev"]}
# Debian's packages of today expect each of them to be a link; some of Debian 12's have files below them.
MERGED = ["bin", "lib", "sbin"]
# The second of the two cross files: it names the directory to the one in tools/cross/.
CROSS_FILE = STORE / "aarch64" / "sysroot.ini"


def system_of(processor):
    """Where the files of a processor's guests come from. Throws Unavailable."""
    if not processor.emulator:
        return System()
    emulator = find_emulators(processor)
    root = str(sysroot(processor))
    return Sysroot(root, (emulator, "-L", root), processor.libraries)


def sysroot(processor):
    """The directory, filled. Throws Unavailable."""
    release = this_release()
    later = FROM_BACKPORTS.get(release, [])
    names = [f"{name}/{release}-backports" if name in later else name for name in BUILT_WITH + RUN_WITH]
    target = processor.store / "sysroot"
    stamp = target / "complete"
    if not stamp.exists() or stamp.read_text() != " ".join(names):
        shutil.rmtree(target, ignore_errors=True)
        for name in MERGED:
            (target / "usr" / name).mkdir(parents=True)
            (target / name).symlink_to(f"usr/{name}")
        for file in Registry(processor.store / "apt", processor.debian).download_all(names, release):
            unpack(file, target)
            file.unlink()
        CROSS_FILE.write_text(f"[constants]\nsysroot = '{target}'\n")
        stamp.write_text(" ".join(names))
    return target


def unpack(package, target):
    """Unlike dpkg-deb --extract, keeps links to directories."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as reader:
        subprocess.run(["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--directory", target],
                       stdin=reader.stdout, check=True)


def this_release():
    """Debian's name of the release that this machine runs. Throws Unavailable."""
    with open("/etc/os-release") as file:
        told = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    release = told.get("VERSION_CODENAME", "").strip('"')
    if release not in RELEASES:
        raise Unavailable(f"programs are cross-built on Debian {' and '.join(RELEASES)} only")
    return release
