"""The settings of each kernel: its command line, and the user of the tests."""

from dataclasses import dataclass, field

FLOORS = ("unit", "net", "fault", "service")
# The cases for machines that may forbid uring6: it works, or its error names the reason.
ENVIRONMENT = "[environment]"
ORDINARY_USER = 1000


@dataclass(frozen=True)
class Setting:
    name: str
    about: str
    processors: int = 2
    arguments: str = ""  # of the kernel
    sysctls: dict[str, str] = field(default_factory=dict)
    user: int = 0
    memlock: int | None = None  # RLIMIT_MEMLOCK in octets; None: what the kernel gives to its first process
    suites: tuple[str, ...] = FLOORS
    cases: str = ""  # Catch2's expression that chooses cases; all when empty
    since: tuple[int, ...] = (6, 1)  # the kernel that is needed


def forbidden(value, **more):
    # The sysctl came with Linux 6.6.
    return {"sysctls": {"kernel.io_uring_disabled": value}, "cases": ENVIRONMENT, "suites": ("fault", "service"),
            "since": (6, 6), **more}


SETTINGS = [
    Setting("root", "root, two processors"),
    Setting("user", "an ordinary user", user=ORDINARY_USER),
    Setting("one-processor", "one processor", processors=1),
    # All cases of test-net need IPv6.
    Setting("no-ipv6", "ipv6.disable=1", arguments="ipv6.disable=1", suites=("unit", "fault", "service")),
    Setting("disabled-1", "kernel.io_uring_disabled=1, an ordinary user", **forbidden("1", user=ORDINARY_USER)),
    Setting("disabled-1-root", "kernel.io_uring_disabled=1, root", **forbidden("1")),
    Setting("disabled-2", "kernel.io_uring_disabled=2, root", **forbidden("2")),
    Setting("memlock-0", "an ordinary user, RLIMIT_MEMLOCK 0", user=ORDINARY_USER, memlock=0,
            suites=("net", "fault", "service"), cases=f"{ENVIRONMENT},[zero_copy]"),
    Setting("memlock-64k", "an ordinary user, RLIMIT_MEMLOCK 64 KiB", user=ORDINARY_USER, memlock=65536,
            suites=("net", "fault", "service"), cases=f"{ENVIRONMENT},[zero_copy]"),
]
# Kernels that are too old run the cases of the refusal only.
TOO_OLD = Setting("too-old", "refused", suites=("fault", "service"), cases=ENVIRONMENT, since=(0,))


def settings_for(version):
    """The settings for a kernel of that version (a tuple of numbers)."""
    return [setting for setting in SETTINGS if version >= setting.since] or [TOO_OLD]
