"""Jobs that leak, and jobs that only look like it. Each function is one job: `tests.leaks.planted:clone`."""

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
    """MagickWand's functions, and two pictures that live on."""
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
    """A clone with pixels of its own that nobody destroys: the seed of this suite."""
    _clone_and_composite()


def bare_clone() -> None:
    """A clone that shares the original's pixels: some kilobytes."""
    library, picture, _ = _wand()
    library.CloneMagickWand(picture.wand)


def one_in_ten() -> None:
    """Every tenth clone is lost."""
    if next(_count) % 10:
        clean()
    else:
        clone()


def per_layer() -> None:
    """A clone for each of five layers."""
    for _ in range(5):
        bare_clone()


def error_path() -> None:
    """The clone is destroyed unless something goes wrong, and every third time it does."""
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
    """The conversion of CMYK pictures, every second one, loses its clone."""
    from wand.image import Image

    space = "cmyk" if next(_count) % 2 else "srgb"
    with Image(width=60, height=40, background="green") as picture:
        picture.transform_colorspace(space)
        library = _wand()[0]
        copy = library.CloneMagickWand(picture.wand)
        if picture.colorspace != "cmyk":
            library.DestroyMagickWand(copy)


def spill_to_map() -> None:
    """Lost clones whose pixel caches no longer fit into memory: they go to mapped files."""
    _limit(map=1024**3, disk=1024**3)
    clone()


def spill_to_disk() -> None:
    """The same with no room for maps: they go to disk, a descriptor each."""
    _limit(map=0, disk=1024**3)
    clone()


def _limit(**limits: int) -> None:
    from wand.resource import limits as resources

    _wand()
    resources["memory"] = 1000
    for name, amount in limits.items():
        resources[name] = amount


def descriptor() -> None:
    """A file that stays open."""
    os.open("/dev/null", os.O_RDONLY)


def one_byte() -> None:
    """One byte from malloc."""
    _libc().malloc(1)


def sixty_four_bytes() -> None:
    """64 bytes from malloc."""
    _libc().malloc(64)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    return libc


def thread_local() -> None:
    """A thread that ends without freeing what its thread-specific slot points to."""
    thread = threading.Thread(target=lambda: _libc().pthread_setspecific(_slot(), ctypes.c_void_p(_libc().malloc(512))))
    thread.start()
    thread.join()


@cache
def _slot() -> int:
    slot = ctypes.c_uint()
    _libc().pthread_key_create(ctypes.byref(slot), None)
    return slot.value


def cache_that_fills() -> None:
    """Results are kept, 24 of them at most."""
    _result(next(_count))


@lru_cache(maxsize=24)
def _result(_number: int) -> bytearray:
    return bytearray(20_000)


def table_built_once() -> None:
    """The thirtieth job builds a table that stays."""
    if next(_count) == 30:
        _libc().malloc(100_000)


_ring: list[int] = []


def ring_of_two() -> None:
    """Each job's buffer is freed two jobs later."""
    _ring.append(_libc().malloc(50_000))
    if len(_ring) > 2:
        _libc().free(_ring.pop(0))


def fragmentation() -> None:
    """Each job takes more than the last and frees it, the topmost block one job later: it pins the heap."""
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
    """Holds a buffer and itself."""

    def __init__(self) -> None:
        self.buffer = bytearray(200_000)
        self.me = self


def python_cycle() -> None:
    """A cycle that holds 200 kB until the collector runs."""
    Node()


_kept: list[dict[str, int]] = []


def python_objects() -> None:
    """A list at module level that grows by some dictionaries a job."""
    _kept.extend({"job": number} for number in range(10))


def growing_buffer() -> None:
    """One buffer that every job makes longer."""
    _buffer.extend(b"x" * 4096)


_buffer = bytearray()


def small_cycles() -> None:
    """Cycles of a few small objects, as most of Python's libraries leave: the collector's daily bread."""
    for _ in range(20):
        ring: list[Any] = []
        ring.append(ring)
    gc.isenabled()


def crash() -> None:
    """The process dies."""
    os.abort()


def slow() -> None:
    """A tenth of a second."""
    time.sleep(0.1)
