"""Prepare native imaging in this process: environment before loading, limits read back after.

Call `prepare()` in the child that renders, never in a parent that forks: OpenMP and libvips do not survive a fork.
A parent calls `preload()`, which loads code and starts nothing.
"""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path

from workers.render.errors import EngineError

POLICY = Path(__file__).with_name("policy")

# What policy/policy.xml sets and ImageMagick must report. Memory in bytes, area in pixels.
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
    "OPENBLAS_NUM_THREADS": "1",  # numpy would start threads when it is loaded, and a fork would lose them
    # One worker renders one job; a second thread hides the latency of reading.
    "VIPS_CONCURRENCY": "2",
    "VIPS_BLOCK_UNTRUSTED": "1",
    # Wand tries dozens of names, each with a compiler and a linker that write temporary files, before it gets to this.
    "WAND_MAGICK_LIBRARY_SUFFIX": "-6.Q16",
}

# Pictures of this size and more get memory of their own, which goes back when they are closed. Without it glibc
# learns to keep them: some 60 MB more at rest, and a peak that depends on the job before.
MMAP_THRESHOLD_BYTES = 4 * 1024**2
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

# What glibc gives back as soon as it lies free at the end of its memory: by default, and while tiles are cut. libwebp
# takes and drops some megabytes a tile, which costs 500 page faults each where they are given back in between.
_TRIM_BYTES = 128 * 1024
_BUSY_TRIM_BYTES = 64 * 1024**2

_ALLOWED_LOADERS = ("Png", "Jpeg", "Tiff", "Webp", "Svg")

# The engine with all that it imports. The other sources are left to the child: pyvips and pypdfium2 start their native
# libraries when they are imported.
_FORK_SAFE_MODULES = ("workers.render.engine", "workers.render.sources.dxf")


def preload() -> None:
    """Load, before a fork, what a child would spend half a second on: 40 MB that all children share.

    Nothing native is started: no thread, no Wand. Where a library is missing, `prepare` says so in the child.
    """
    os.environ.update(_ENVIRONMENT)
    with suppress(ImportError, OSError):
        for module in _FORK_SAFE_MODULES:
            import_module(module)


@cache
def prepare() -> None:
    """Load ImageMagick under our own policy. Costs about 15 MB and 0.2 s, once a process.

    Raises `EngineError` where the library is missing or did not take the limits.
    """
    os.environ.update(_ENVIRONMENT)
    _libc().mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
    try:
        found = magick_limits()
    except ImportError as error:
        raise EngineError(
            "ImageMagick's MagickWand library is missing. Install libmagickwand-6.q16-6 (Debian) and try again."
        ) from error
    wrong = {name: value for name, value in found.items() if value != LIMITS[name]}
    if wrong:
        raise EngineError(
            f"ImageMagick did not take the limits of {POLICY / 'policy.xml'}: {wrong}. It was loaded before the engine "
            "in this process, or MAGICK_*_LIMIT is set in the environment; render in a fresh process."
        )


@cache
def prepare_vips() -> None:
    """Let libvips read the formats of blueprints and nothing else. Costs about 10 MB, once a process."""
    import pyvips

    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)  # noqa: FBT003 - the binding takes no keyword
    for loader in _ALLOWED_LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", False)  # noqa: FBT003


@contextmanager
def release_memory_afterwards() -> Iterator[None]:
    """Around work that builds a large document and drops it: its memory is back with the system afterwards.

    What lives already is kept out of the collector's way meanwhile, which makes reading a tenth faster.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        trim_heap()


def trim_heap() -> None:
    """Give free memory back to the system: what libvips' threads leave behind is some 50 MB. Takes milliseconds."""
    _libc().malloc_trim(0)


@contextmanager
def retain_free_heap() -> Iterator[None]:
    """Around work that takes and drops megabytes a thousand times: they stay at hand until it ends."""
    _libc().mallopt(_M_TRIM_THRESHOLD, _BUSY_TRIM_BYTES)
    try:
        yield
    finally:
        _libc().mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        trim_heap()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # each one makes a class that only the collector frees


def magick_limits() -> dict[str, int]:
    """ImageMagick's resource limits as it reports them."""
    from wand.resource import limits

    return {name: int(limits[name]) for name in LIMITS}
