"""Which kernels Debian offers, and how one of them comes onto this machine."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kernels.processor import X86_64, Processor, Unavailable
from kernels.registry import Registry

# Since Linux 6.19 Debian splits the image, the modules and the package that depends on both.
PARTS = ["image", "binary", "modules"]


@dataclass(frozen=True)
class Kernel:
    version: str  # as Debian names it: "6.1.0-57", "7.3.4+deb13"
    directory: Path
    processor: Processor = X86_64

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
    def __init__(self, processor=X86_64):
        self.processor = processor
        self.store = processor.store
        self.registry = Registry(self.store / "apt", processor.debian)

    def fetch(self, wanted):
        """The kernel that `wanted` stands for, unpacked. Throws Unavailable."""
        version = choose(wanted, self.versions())
        if version is None:
            raise Unavailable(f"Debian's registry offers no kernel {wanted} for {self.processor.name}")
        target = self.store / f"{version}-{self.processor.flavour}"
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            self._unpack(version, target)
            (target / "complete").touch()
        return Kernel(version, target, self.processor)

    def versions(self):
        flavour = self.processor.flavour
        names = self.registry.search(rf"^linux-image-[0-9].*-{flavour}$")
        versions = [name.removeprefix("linux-image-").removesuffix(f"-{flavour}") for name in names]
        # Without a third number it is a package that always depends on the newest, not a kernel.
        return [version for version in versions if re.match(r"\d+\.\d+\.\d+", version)]

    def _unpack(self, version, target):
        for part in PARTS:
            name = f"linux-{part}-{version}-{self.processor.flavour}"
            if self.registry.search(f"^{re.escape(name)}$"):
                file = self.registry.download(name, self.store / "packages")
                subprocess.run(["dpkg-deb", "--extract", file, target], check=True)
                file.unlink()
