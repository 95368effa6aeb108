"""Where the files of a guest come from: this machine, or packages of another processor below a directory. Paths are
those in the guest."""

import functools
import os
import re
import shutil
import subprocess


class System:
    """This machine."""
    root = ""
    runner = ()  # the words in front of a command that runs a program of that processor here

    def tool(self, name):
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if path is None:
            raise FileNotFoundError(f"there is no {name} on this machine")
        return path

    def file(self, path):
        """What to read, on this machine, for a path."""
        return os.path.realpath(path)

    def libraries(self, file):
        """The paths of what a program or a library on this machine is linked with."""
        return linked_with(file)


class Sysroot(System):
    """Packages of another processor, unpacked below a directory whose /bin, /lib and /sbin are links into /usr."""

    def __init__(self, root, runner, libraries):
        self.root = root
        self.runner = runner
        self.places = [libraries, "/usr/lib"]

    def tool(self, name):
        for path in (f"/usr/bin/{name}", f"/usr/sbin/{name}"):
            if os.path.lexists(self.root + path):
                return path
        raise FileNotFoundError(f"there is no {name} below {self.root}")

    def file(self, path):
        # An absolute link starts at the root.
        while os.path.islink(self.root + path):
            path = os.path.join(os.path.dirname(path), os.readlink(self.root + path))
        return self.root + path

    def libraries(self, file):
        # The loader is in two places, of which programs name one and the C library the other.
        return [path for name in needed(file) for place in self.places
                if os.path.lexists(self.root + (path := f"{place}/{name}"))]


def is_elf(file):
    with open(file, "rb") as opened:
        return opened.read(4) == b"\x7fELF"


@functools.cache
def linked_with(file):
    if not is_elf(file):
        return []
    said = subprocess.run(["ldd", file], capture_output=True, text=True).stdout
    return re.findall(r"(?:=> |^\t)(/\S+) \(0x", said, re.M)


@functools.cache
def needed(file):
    """The names of what it is linked with itself, whatever processor it is for."""
    if not is_elf(file):
        return []
    said = subprocess.run(["readelf", "--dynamic", "--wide", file], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", said)
