"""Gauges of this process: what the heap holds, what ImageMagick says it holds, memory, descriptors, Python's blocks."""

import ctypes
import gc
import os
import sys
from collections.abc import Callable

from workers.sandbox.process_stats import allocated_heap

PAGE = os.sysconf("SC_PAGE_SIZE")

# ResourceType of ImageMagick 6 (MagickCore/resource_.h).
DISK, MAP, MEMORY = 2, 4, 5


# The same cache under its two names: Python 3.13 has the newer.
_clear_caches: Callable[[], None] = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache")  # noqa: B009


class Probes:
    """Reads gauges of this process. Each answer is an integer; none keeps anything."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._magick: Callable[[int], int] | None = None

    def heap_bytes(self) -> int:
        """Bytes allocated and not freed, in all arenas and in mappings of malloc's own.

        Exact only without the thread cache, whose blocks count as allocated (GLIBC_TUNABLES, `instruments.gauge`).
        """
        return allocated_heap()

    def resident_bytes(self) -> int:
        """Bytes in memory."""
        return int(os.pread(self._statm, 100, 0).split()[1]) * PAGE

    def open_descriptors(self) -> int:
        """Open descriptors, without the one that counting takes."""
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 -- makes the least

    def collect_garbage(self) -> None:
        """Collect garbage, and drop CPython's cache of attributes, which keeps names that C code made for a look-up."""
        _clear_caches()
        gc.collect()

    def python_blocks(self) -> int:
        """Blocks that CPython's allocators hold. Exact after `settle`."""
        return sys.getallocatedblocks()

    def pixel_cache_bytes(self, kind: int) -> int:
        """Bytes of pixel caches of one kind: 0 until somebody loads ImageMagick."""
        if self._magick is None:
            api = sys.modules.get("wand.api")
            if api is None:
                return 0
            self._magick = api.library.MagickGetResource
        return int(self._magick(kind))

    def trim(self) -> tuple[int, int]:
        """Give free memory back to the system; resident bytes before and after."""
        before = self.resident_bytes()
        self._libc.malloc_trim(0)
        return before, self.resident_bytes()
