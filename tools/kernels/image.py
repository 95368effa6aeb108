"""What a guest has: the test programs, the libraries and few tools they need, a Python for its first process, and the
kernel's modules. All but the modules is taken from this machine, or from the packages that the programs were
cross-built with, so the programs find the libraries they were linked with.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from kernels.archive import Archive
from kernels.system import System

GUEST = Path(__file__).with_name("guest.py")
TOOLS = ["ip", "modprobe", "mount"]
# Directories below kernel/ with modules that the guest may load: kinds of devices, filters, schedulers, and the modules
# that these need. Of kernel/drivers/net only the files are taken: the directories below it drive network cards.
MODULES = ["net", "lib", "crypto", "arch", "fs/fuse"]
# Files that depmod reads beside the modules.
TABLES = ["modules.order", "modules.builtin", "modules.builtin.modinfo"]
ETC = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "/etc/group": "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}


def program_archive(programs, plan, system):
    """The guest's files but for modules. `programs` keep their paths; `plan` is what guest.py is to run; `system` has
    the libraries, the tools and Python.
    """
    archive = Archive()
    for name in ("bin", "lib", "lib64", "sbin"):
        archive.link(name, f"usr/{name}")
    for name in ("dev", "proc", "sys", "run", "root"):
        archive.directory(name)
    archive.directory("tmp", 0o1777)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3, 0o666)
    for path, text in ETC.items():
        archive.file(path, text.encode())
    for path in ("/etc/protocols", "/etc/services"):
        if os.path.exists(path):
            put(archive, path, path, system)
    for tool in TOOLS:
        put_of(system, archive, system.tool(tool))
    for program in programs:
        put(archive, program, program, system)
    put_python(archive, system)
    archive.file("/init", b"#!/usr/bin/python3 -ISB\n" + GUEST.read_bytes(), 0o755)
    archive.file("/plan.json", json.dumps(plan).encode())
    return archive


def put_of(system, archive, path):
    put(archive, path, system.file(path), system)


def put(archive, path, file, system):
    """Puts a file of this machine, and the libraries it is linked with."""
    inside = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    if archive.has(inside):
        return
    archive.file(inside, Path(file).read_bytes(), os.stat(file).st_mode & 0o777)
    for library in system.libraries(file):
        put_of(system, archive, library)


def put_python(archive, system):
    """The interpreter and those modules that guest.py imports."""
    python = "/usr/bin/python3"
    list_files = ("import runpy, sys; runpy.run_path(sys.argv[1], run_name='listed'); import encodings.utf_8, os;"
                  "[print(m.__file__) for m in list(sys.modules.values()) if getattr(m, '__file__', None)]")
    words = [*system.runner, system.file(python), "-ISB", "-c", list_files, GUEST]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    put_of(system, archive, python)
    for file in set(said.splitlines()) - {str(GUEST)}:
        put_of(system, archive, file.removeprefix(system.root))


def module_archive(kernel):
    """The kernel's network modules, and the tables that modprobe reads, which depmod makes of them."""
    source = kernel.modules
    stage = kernel.directory / "stage"
    target = stage / "lib" / "modules" / source.name
    shutil.rmtree(stage, ignore_errors=True)
    for directory in MODULES:
        if (source / "kernel" / directory).is_dir():
            shutil.copytree(source / "kernel" / directory, target / "kernel" / directory)
    drivers = Path("kernel") / "drivers" / "net"
    (target / drivers).mkdir(parents=True, exist_ok=True)
    for file in (source / drivers).iterdir():
        if file.is_file():
            shutil.copy(file, target / drivers)
    for table in TABLES:
        # Since Linux 6.19 Debian keeps them apart from the modules.
        for found in kernel.directory.rglob(table):
            if stage not in found.parents:
                shutil.copy(found, target)
    subprocess.run([System().tool("depmod"), "-b", stage, source.name], check=True, capture_output=True)
    archive = Archive()
    archive.link("lib", "usr/lib")
    for path in sorted(target.rglob("*")):
        if path.is_file():
            archive.file(f"usr/lib/modules/{path.relative_to(stage / 'lib' / 'modules')}", path.read_bytes())
    shutil.rmtree(stage)
    return archive


def written(archive, path):
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        archive.write(file)
    partial.rename(path)
    return path


def modules_file(kernel):
    path = kernel.directory / "modules.cpio"
    return path if path.exists() else written(module_archive(kernel), path)


