"""Memory that the exporter no longer needs goes back to the system."""

import platform
import subprocess
import sys

import pytest

from exporter import allocator

# Large blocks are freed, and small ones stay behind them, as after a rendering.
PROGRAM = """
import sys
from exporter import allocator

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

if sys.argv[1] == "early":
    allocator.return_early()
before = resident_mib()
size = 1 << 20
b"x" * size
large, small = [], []
for _ in range(100):
    large.append(b"x" * size)
    small.append(b"x" * (size >> 8))
large.clear()
print(resident_mib() - before)
"""


def left_mib(mode):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_large_blocks_that_are_free_leave_nothing_behind():
    assert left_mib("usual") > 50
    assert left_mib("early") < 10


def test_another_c_library_is_no_error(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    allocator.return_early()
