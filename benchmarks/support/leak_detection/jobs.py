"""Jobs for the benchmark of leak hunts: leaks of a given size, and clean work of tens of milliseconds."""

import ctypes
from functools import cache

from tests.leaks.planted import clean


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    return libc


def leak_1() -> None:
    """Leaks one byte."""
    _libc().malloc(1)


def leak_64() -> None:
    """Leaks 64 bytes."""
    _libc().malloc(64)


def leak_1024() -> None:
    """Leaks 1 KiB."""
    _libc().malloc(1024)


def leak_65536() -> None:
    """Leaks 64 KiB."""
    _libc().malloc(65_536)


def work() -> None:
    """Resizes and encodes a picture, composites and destroys a clone: work and allocations like those of a render."""
    from wand.image import Image

    clean()
    with Image(width=400, height=300, pseudo="plasma:") as picture:
        picture.resize(320, 240)
        picture.format = "png"
        picture.make_blob()
