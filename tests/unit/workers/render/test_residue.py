"""What a repetition of work leaves on the heap."""

import ctypes
from itertools import count

from workers.render.sandboxed.residue import MEASURED, sample

BLOCK = 1024**2

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def test_given_work_that_leaks_each_time_then_its_size_is_measured() -> None:
    leaked = sample(lambda: libc.malloc(BLOCK), None)["heap_leaked_bytes"]

    assert BLOCK <= leaked < BLOCK + 64 * 1024


def test_given_caches_that_the_first_time_and_one_more_fill_then_nothing_is_leaked() -> None:
    for filled in range(1, MEASURED + 1):
        times = count()

        def work(filled: int = filled, times: "count[int]" = times) -> None:
            if next(times) in (0, filled):
                libc.malloc(BLOCK)

        assert abs(sample(work, None)["heap_leaked_bytes"]) < 64 * 1024
