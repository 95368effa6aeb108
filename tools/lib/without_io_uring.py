#!/usr/bin/env python3
"""Runs a command in a sandbox that refuses io_uring, as the default seccomp profile of containers does: each of
io_uring_setup, io_uring_enter and io_uring_register ends with EPERM.

    tools/lib/without_io_uring.py COMMAND [ARGUMENT...]
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
FIRST, LAST = 425, 427  # io_uring_setup to io_uring_register, by the same numbers on each processor


def program():
    """Instructions of the filter: struct sock_filter is the code, two jumps and a constant."""
    load_number, at_least, at_most, give = 0x20, 0x35, 0x25, 0x06
    instructions = [
        (load_number, 0, 0, 0),
        (at_least, 0, 2, FIRST),
        (at_most, 1, 0, LAST),
        (give, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM),
        (give, 0, 0, SECCOMP_RET_ALLOW),
    ]
    return [struct.pack("HBBI", *each) for each in instructions]


def refuse_io_uring():
    libc = ctypes.CDLL(None, use_errno=True)
    instructions = program()
    code = ctypes.create_string_buffer(b"".join(instructions))
    # struct sock_fprog: the number of instructions, and a pointer to them.
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                 (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(filter_), 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(each) for each in call)) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({call[0]})")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    refuse_io_uring()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
