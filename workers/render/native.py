"""Prepares native imaging in this process: sets the environment, loads the libraries and verifies their limits.

A process that forks may call `prepare` and `prepare_vips`, but must not start a thread before: OpenMP and libvips would
lose it.
"""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from workers.render.errors import EngineError

POLICY = Path(__file__).with_name("policy")

# The limits of policy/policy.xml, which ImageMagick must report. Memory in bytes, area in pixels.
LIMITS = {
    "memory": 256 * 1024**2,
    "map": 0,
    "disk": 0,
    "area": 32_000_000,
    "width": 16_383,
    "height": 16_383,
    "thread": 1,
}

_ENVIRONMENT = {
    "MAGICK_CONFIGURE_PATH": str(POLICY),
    "MAGICK_THREAD_LIMIT": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # numpy would start threads on import, which a fork would lose
    # One worker renders one job. The second thread hides read latency.
    "VIPS_CONCURRENCY": "2",
    "VIPS_BLOCK_UNTRUSTED": "1",
    # Without it, Wand tries dozens of names first, each with a compiler and a linker that write temporary files.
    "WAND_MAGICK_LIBRARY_SUFFIX": "-6.Q16",
}

# Pictures of at least this size get their own mapping, which is unmapped when they are closed. Otherwise glibc raises
# the threshold and retains them: about 60 MB more when idle, and a peak that depends on the previous job.
MMAP_THRESHOLD_BYTES = 4 * 1024**2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

# Free bytes at the end of the heap above which glibc trims it: by default, and while tiles are cut. libwebp allocates
# and frees some megabytes a tile, which costs 500 page faults a tile if they are trimmed in between.
_TRIM_BYTES = 128 * 1024
_BUSY_TRIM_BYTES = 64 * 1024**2

_ALLOWED_LOADERS = ("Png", "Jpeg", "Tiff", "Webp", "Svg")


def set_environment() -> None:
    """Set the variables that native libraries read when they are loaded."""
    os.environ.update(_ENVIRONMENT)


# Whether this process is a zygote, or was forked from one.
_is_zygote = False


def become_zygote() -> None:
    """Exempt all objects that exist when a process is forked from garbage collection in it. A
    collection would copy every page that the processes share."""
    global _is_zygote
    _is_zygote = True


@cache
def prepare() -> None:
    """Load ImageMagick with our policy. Takes about 15 MB and 0.2 s, once per process.

    Raises `EngineError` if the library is missing or does not apply the limits.
    """
    set_environment()
    _libc().mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
    try:
        limits = magick_limits()
    except ImportError as error:
        raise EngineError(
            "ImageMagick's MagickWand library is missing. Install libmagickwand-6.q16-6 (Debian) and try again."
        ) from error
    wrong = {name: value for name, value in limits.items() if value != LIMITS[name]}
    if wrong:
        raise EngineError(
            f"ImageMagick did not apply the limits of {POLICY / 'policy.xml'}: {wrong}. It was loaded before the "
            "engine in this process, or MAGICK_*_LIMIT is set in the environment. Unset the variable and start a "
            "new process."
        )


@cache
def prepare_vips() -> None:
    """Restrict libvips to the formats of blueprints. Takes about 10 MB, once per process."""
    import pyvips

    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 - the binding accepts no keyword
    for loader in _ALLOWED_LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", False)  # noqa: FBT003


@contextmanager
def release_memory_afterwards() -> Iterator[None]:
    """Return memory to the system after a block that builds and releases a large document.

    Existing objects are exempt from garbage collection during the block, which makes reading a tenth faster. In a
    process that was forked from a zygote they stay so.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        if not _is_zygote:
            gc.unfreeze()
        trim_heap()


def trim_heap() -> None:
    """Return free memory to the system: threads of libvips leave about 50 MB. Takes milliseconds."""
    _libc().malloc_trim(0)


@contextmanager
def retain_free_heap() -> Iterator[None]:
    """Retain free memory during a block that allocates and frees megabytes thousands of times."""
    _libc().mallopt(_M_TRIM_THRESHOLD, _BUSY_TRIM_BYTES)
    try:
        yield
    finally:
        _libc().mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        trim_heap()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # each call creates a class that only the garbage collector frees


def magick_limits() -> dict[str, int]:
    """ImageMagick's resource limits as it reports them."""
    from wand.resource import limits

    return {name: int(limits[name]) for name in LIMITS}
