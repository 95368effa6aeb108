"""Writes a cpio archive in the "newc" format, which the kernel unpacks as its first file system (initramfs).

The format is described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import stat

# The kernel reads each header and each file's data from a multiple of four octets on.
ALIGNMENT = 4
# Archives may follow one another when each begins at a multiple of four; a whole block is easy to see in a dump.
BLOCK = 512


class Archive:
    """The files of a guest. A file that is put twice keeps its first content."""

    def __init__(self):
        self.entries = {}  # path without leading slash -> (mode, data, device)

    def directory(self, path, mode=0o755):
        self._put(path, stat.S_IFDIR | mode, b"")

    def file(self, path, data, mode=0o644):
        self._put(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path, major, minor, mode=0o600):
        self._put(path, stat.S_IFCHR | mode, b"", (major, minor))

    def has(self, path):
        return path.strip("/") in self.entries

    def _put(self, path, mode, data, device=(0, 0)):
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent:
            self.directory(parent)
        self.entries.setdefault(path, (mode, data, device))

    def write(self, file):
        for number, (path, (mode, data, device)) in enumerate(self.entries.items(), 1):
            self._write_entry(file, number, path, mode, data, device)
        self._write_entry(file, 0, "TRAILER!!!", 0, b"", (0, 0))
        file.write(bytes(-file.tell() % BLOCK))

    @staticmethod
    def _write_entry(file, number, path, mode, data, device):
        name = path.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        file.write(header + bytes(-len(header) % ALIGNMENT))
        file.write(data + bytes(-len(data) % ALIGNMENT))
