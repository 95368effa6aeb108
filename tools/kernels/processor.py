"""The processors on which kernels are booted: what Debian and QEMU call each, and which programs run on it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

STORE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uring6" / "kernels"


class Unavailable(Exception):
    """Why a kernel cannot be had, or cannot be booted: the reason for a skip."""


@dataclass(frozen=True)
class Processor:
    name: str  # as the command line has it: 6.12@aarch64
    debian: str  # Debian's architecture
    flavour: str  # the end of the names of Debian's kernel packages
    qemu: tuple[str, ...]  # the program, and the machine that it is to be
    arguments: str  # of the kernel, beside those of machine.py
    store: Path = STORE  # where Debian's packages are kept
    # The serial line on which guest.py tells its results: as QEMU adds it, and as the guest finds it.
    second_line: tuple[str, ...] = ("-device", "isa-serial,chardev=results")
    results: str = "/dev/ttyS1"
    # Of a processor whose programs this machine cannot run by itself: the program that runs one, and the directory of
    # its libraries in Debian's packages.
    emulator: str = ""
    libraries: str = ""


# Of the kernels the "cloud" flavour is taken: its drivers are those of virtual machines, so it is a third of the size
# and boots in half of the time. No KVM: a continuous-integration machine is itself a guest. Without it, five-level page
# tables cost time and show nothing.
X86_64 = Processor("x86_64", "amd64", "cloud-amd64", ("qemu-system-x86_64", "-cpu", "max,la57=off,pku=off"),
                   "console=ttyS0,115200 tsc=reliable no_timer_check")


def aarch64(name, flavour):
    return Processor(
        name, "arm64", flavour,
        # It has the atomic instructions of ARMv8.1, and no pointer signatures, which QEMU takes long to compute.
        qemu=("qemu-system-aarch64", "-machine", "virt", "-cpu", "neoverse-n1"),
        arguments="console=ttyAMA0", store=STORE / "aarch64",
        # The machine's own serial line is no 8250, so the one on the PCI bus is the first of those.
        second_line=("-device", "pci-serial,chardev=results"), results="/dev/ttyS0",
        emulator="qemu-aarch64", libraries="/usr/lib/aarch64-linux-gnu")


# Debian has kernels with pages of 16 KiB since Linux 6.12, with the drivers of all machines only.
PROCESSORS = {each.name: each for each in (X86_64, aarch64("aarch64", "cloud-arm64"),
                                           aarch64("aarch64-16k", "arm64-16k"))}


def find_emulators(processor):
    """The path of the program that runs one program of the processor. Throws Unavailable if that, or the one that boots
    kernels, is missing.
    """
    machine = processor.qemu[0]
    if not shutil.which(machine):
        raise Unavailable(f"there is no {machine} on this machine")
    # Debian has it twice: packages qemu-user and qemu-user-static.
    for name in (processor.emulator, processor.emulator + "-static"):
        if path := shutil.which(name):
            return path
    raise Unavailable(f"there is no {processor.emulator} on this machine")
