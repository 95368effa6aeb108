"""Boots Debian's kernels under QEMU and runs the test programs in them. Called by tools/lib/run_tests.py."""
