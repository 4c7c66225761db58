"""What this process holds and has used: pure readings of /proc and of ImageMagick's own counters.

    restart_peak()
    before = read()
    ...
    after = read()

A reading takes some 50 microseconds at a resident set of 400 MB, so one can be taken after every job. `heap` takes as
much again.
"""

import ctypes
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

PROC = "/proc/self"

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

# What ImageMagick counts of its own: bytes of pixels in memory, mapped and on disk, and open files.
IMAGEMAGICK_RESOURCES = ("memory", "map", "disk", "file")

# proc(5), clear_refs: 5 puts the peak of the resident set back to what it is now.
_RESET_PEAK = b"5"


class Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of malloc.h, glibc 2.33 and later."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks"),
            "keepcost",
        )
    )


@dataclass(frozen=True, slots=True)
class ProcessStats:
    """One reading. Memory in bytes, `cpu` in seconds of all threads since the process started.

    `live` is what the process has for itself, without pages of files; `peak` its largest resident set since
    `restart_peak`, with them. `magick` has the names of `MAGICK`, and is empty where ImageMagick was never started.
    """

    anonymous: int
    peak: int
    cpu: float
    descriptors: int
    imagemagick: Mapping[str, int] = field(default_factory=dict)

    @property
    def spilled(self) -> int:
        """Bytes of pixels that ImageMagick holds outside memory: they leak without the resident set growing."""
        return self.imagemagick.get("map", 0) + self.imagemagick.get("disk", 0)


def read(proc: str = PROC) -> ProcessStats:
    """All gauges of this process."""
    return ProcessStats(
        anonymous_memory(proc),
        peak_resident_memory(proc),
        time.process_time(),
        open_descriptors(proc),
        imagemagick_usage(),
    )


def anonymous_memory(proc: str = PROC) -> int:
    """Bytes in memory that belong to no file (proc(5), statm: resident without shared pages)."""
    _size, resident, shared, *_ = _read(f"{proc}/statm").split()
    return (int(resident) - int(shared)) * _PAGE_SIZE


def resident_memory(proc: str = PROC) -> int:
    """Bytes in memory, with the pages of files."""
    return int(_read(f"{proc}/statm").split()[1]) * _PAGE_SIZE


def peak_resident_memory(proc: str = PROC) -> int:
    """Largest resident set in bytes, since `restart_peak` or else since the start.

    Not `ru_maxrss`: that outlives `exec`, may be a parent's, and cannot be started anew.
    """
    return 1024 * int(_read(f"{proc}/status").partition(b"VmHWM:")[2].split()[0])


def allocated_heap() -> int:
    """Bytes that malloc gave out and did not get back, in all arenas and in mappings of its own.

    Exact only without glibc's thread cache, whose free blocks count as given out: up to 237 kB a thread.
    """
    info = _libc().mallinfo2()
    return int(info.uordblks + info.hblkhd)


def reset_peak(proc: str = PROC) -> bool:
    """Measure the peak from now on. False where the kernel does not let us."""
    try:
        file = os.open(f"{proc}/clear_refs", os.O_WRONLY)
    except OSError:
        return False
    try:
        return os.write(file, _RESET_PEAK) > 0
    finally:
        os.close(file)


def open_descriptors(proc: str = PROC) -> int:
    """How many files, pipes and sockets are open; the one that counts them is not among them."""
    return len(os.listdir(f"{proc}/fd")) - 1  # noqa: PTH208 - a third of the time of iterdir


def imagemagick_usage() -> dict[str, int]:
    """What ImageMagick holds right now, by the names of `MAGICK`; empty unless it runs in this process.

    It is asked only where Wand has loaded it: this module loads nothing.
    """
    wand: Any = sys.modules.get("wand.resource")
    if wand is None or not wand.library.IsMagickWandInstantiated():
        return {}
    return {name: int(wand.limits.resource(name)) for name in IMAGEMAGICK_RESOURCES}


@cache
def _libc() -> ctypes.CDLL:
    """The C library, opened once: each opening makes a class that only the collector frees."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo2
    return libc


def _read(path: str) -> bytes:
    """A file of /proc, in a third of the time that `Path.read_text` takes."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)
