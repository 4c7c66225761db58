"""Measurements of this process: heap, ImageMagick's pixel caches, resident memory, descriptors, Python's blocks."""

import ctypes
import gc
import os
import sys
from collections.abc import Callable

from workers.sandbox.process_stats import allocated_heap

PAGE = os.sysconf("SC_PAGE_SIZE")

# ResourceType of ImageMagick 6 (MagickCore/resource_.h).
DISK, MAP, MEMORY = 2, 4, 5


# The same function under its two names; the first one is that of Python 3.13.
_clear_caches: Callable[[], None] = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache")  # noqa: B009


class Probes:
    """Reads integers about this process, without leaving memory allocated."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._magick: Callable[[int], int] | None = None

    def heap_bytes(self) -> int:
        """Bytes allocated and not freed, in all arenas and in malloc's own mappings.

        It is exact only without the thread cache, whose free blocks count as allocated (see `instruments.gauge`).
        """
        return allocated_heap()

    def resident_bytes(self) -> int:
        """Resident set size in bytes."""
        return int(os.pread(self._statm, 100, 0).split()[1]) * PAGE

    def open_descriptors(self) -> int:
        """Number of open descriptors, without the one that counting needs."""
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 -- allocates the least

    def collect_garbage(self) -> None:
        """Collect garbage, and clear CPython's attribute cache, which keeps names that C code created for a look-up."""
        _clear_caches()
        gc.collect()

    def python_blocks(self) -> int:
        """Blocks held by CPython's allocators. Exact after `collect_garbage`."""
        return sys.getallocatedblocks()

    def pixel_cache_bytes(self, kind: int) -> int:
        """Bytes of pixel caches of one kind; 0 until ImageMagick is loaded."""
        if self._magick is None:
            api = sys.modules.get("wand.api")
            if api is None:
                return 0
            self._magick = api.library.MagickGetResource
        return int(self._magick(kind))

    def trim(self) -> tuple[int, int]:
        """Return free memory to the system. Returns resident bytes before and after."""
        before = self.resident_bytes()
        self._libc.malloc_trim(0)
        return before, self.resident_bytes()
