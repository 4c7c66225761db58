"""Jobs that leak, and jobs that only seem to leak. Each function is one job: `tests.leaks.planted:clone`."""

import ctypes
import gc
import itertools
import os
import threading
import time
from functools import cache, lru_cache
from typing import Any

WIDTH, HEIGHT = 200, 150

_count = itertools.count(1)


@cache
def _wand() -> Any:
    """MagickWand's functions, and two permanent pictures."""
    from wand.api import library
    from wand.image import Image

    library.CloneMagickWand.restype = ctypes.c_void_p
    library.DestroyMagickWand.restype = ctypes.c_void_p
    library.DestroyMagickWand.argtypes = [ctypes.c_void_p]
    library.MagickCompositeImage.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_ssize_t,
        ctypes.c_ssize_t,
    ]
    return library, Image(width=WIDTH, height=HEIGHT, background="red"), Image(width=50, height=50, background="blue")


def _clone_and_composite() -> Any:
    library, picture, stamp = _wand()
    clone = library.CloneMagickWand(picture.wand)
    library.MagickCompositeImage(clone, stamp.wand, 1, 5, 5)
    return clone


def clean() -> None:
    """A clone that is destroyed."""
    _wand()[0].DestroyMagickWand(_clone_and_composite())


def clone() -> None:
    """A clone with pixels of its own that is never destroyed: the leak that this suite was written for."""
    _clone_and_composite()


def bare_clone() -> None:
    """A leaked clone that shares the pixels of the original: some kilobytes."""
    library, picture, _ = _wand()
    library.CloneMagickWand(picture.wand)


def one_in_ten() -> None:
    """Leaks every tenth clone."""
    if next(_count) % 10:
        clean()
    else:
        clone()


def per_layer() -> None:
    """Leaks one clone for each of five layers."""
    for _ in range(5):
        bare_clone()


def error_path() -> None:
    """Destroys the clone unless an error occurs, which is every third time."""
    picture = _clone_and_composite()
    try:
        if next(_count) % 3 == 0:
            raise ValueError("the overlay is damaged")
        _wand()[0].DestroyMagickWand(picture)
    except ValueError:
        return


def raises() -> None:
    """Every job leaks and fails."""
    clone()
    raise ValueError("the overlay is damaged")


def cmyk_only() -> None:
    """Leaks the clone when it converts CMYK pictures, which is every second time."""
    from wand.image import Image

    space = "cmyk" if next(_count) % 2 else "srgb"
    with Image(width=60, height=40, background="green") as picture:
        picture.transform_colorspace(space)
        library = _wand()[0]
        copy = library.CloneMagickWand(picture.wand)
        if picture.colorspace != "cmyk":
            library.DestroyMagickWand(copy)


def spill_to_map() -> None:
    """Leaks clones whose pixel caches do not fit into memory and go to mapped files."""
    _limit(map=1024**3, disk=1024**3)
    clone()


def spill_to_disk() -> None:
    """The same without room for mapped files: each cache goes to disk and has a descriptor."""
    _limit(map=0, disk=1024**3)
    clone()


def _limit(**limits: int) -> None:
    from wand.resource import limits as resources

    _wand()
    resources["memory"] = 1000
    for name, amount in limits.items():
        resources[name] = amount


def descriptor() -> None:
    """Leaves a file open."""
    os.open("/dev/null", os.O_RDONLY)


def one_byte() -> None:
    """Leaks one byte from malloc."""
    _libc().malloc(1)


def sixty_four_bytes() -> None:
    """Leaks 64 bytes from malloc."""
    _libc().malloc(64)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    return libc


def thread_local() -> None:
    """A thread that exits without freeing the memory in its thread-specific slot."""
    thread = threading.Thread(target=lambda: _libc().pthread_setspecific(_slot(), ctypes.c_void_p(_libc().malloc(512))))
    thread.start()
    thread.join()


@cache
def _slot() -> int:
    slot = ctypes.c_uint()
    _libc().pthread_key_create(ctypes.byref(slot), None)
    return slot.value


def cache_that_fills() -> None:
    """Caches results, at most 24."""
    _result(next(_count))


@lru_cache(maxsize=24)
def _result(_number: int) -> bytearray:
    return bytearray(20_000)


def table_built_once() -> None:
    """The thirtieth job builds a permanent table."""
    if next(_count) == 30:
        _libc().malloc(100_000)


_ring: list[int] = []


def ring_of_two() -> None:
    """Frees the buffer of each job two jobs later."""
    _ring.append(_libc().malloc(50_000))
    if len(_ring) > 2:
        _libc().free(_ring.pop(0))


def fragmentation() -> None:
    """Allocates more in each job and frees it, but the topmost block one job later, which pins the heap."""
    libc = _libc()
    chunks = [libc.malloc(60_000) for _ in range(10 * next(_count))]
    for chunk in chunks:
        ctypes.memset(chunk, 1, 60_000)
    _ring.append(chunks.pop())
    for chunk in chunks:
        libc.free(chunk)
    if len(_ring) > 1:
        libc.free(_ring.pop(0))


class Node:
    """Refers to a buffer and to itself."""

    def __init__(self) -> None:
        self.buffer = bytearray(200_000)
        self.me = self


def python_cycle() -> None:
    """A cycle that holds 200 kB until the collector runs."""
    Node()


_kept: list[dict[str, int]] = []


def python_objects() -> None:
    """A module-level list that grows by some dictionaries per job."""
    _kept.extend({"job": number} for number in range(10))


def growing_buffer() -> None:
    """One buffer that grows with every job."""
    _buffer.extend(b"x" * 4096)


_buffer = bytearray()


def small_cycles() -> None:
    """Cycles of a few small objects, as most Python libraries leave them to the collector."""
    for _ in range(20):
        ring: list[Any] = []
        ring.append(ring)
    gc.isenabled()


def crash() -> None:
    """The process dies."""
    os.abort()


def slow() -> None:
    """Sleeps for a tenth of a second."""
    time.sleep(0.1)
