"""The planted corpus: each job of `planted.py` with the expected verdict."""

from dataclasses import dataclass

from leaks.target import Subject
from leaks.verdict import VerdictKind

CLONE = "CloneMagickWand"


@dataclass(frozen=True, slots=True)
class Case:
    """A planted job. `root` is the function that must be named first, if it can be known; `errors`: its jobs fail."""

    name: str
    kind: VerdictKind
    root: str = ""
    what: str = ""
    errors: bool = False

    @property
    def subject(self) -> Subject:
        """The target of the hunt."""
        return Subject(f"tests.leaks.planted:{self.name}", {}, errors=self.errors)


# Enough for a leak in one of ten jobs to appear in each quarter.
JOBS = 60

CASES = (
    Case("clean", VerdictKind.CLEAN),
    Case("table_built_once", VerdictKind.CLEAN),
    Case("ring_of_two", VerdictKind.CLEAN),
    Case("small_cycles", VerdictKind.CLEAN),
    Case("clone", VerdictKind.LEAK, CLONE),
    Case("bare_clone", VerdictKind.LEAK, CLONE),
    Case("one_in_ten", VerdictKind.LEAK, CLONE),
    Case("per_layer", VerdictKind.LEAK, CLONE),
    Case("error_path", VerdictKind.LEAK, CLONE),
    Case("raises", VerdictKind.LEAK, CLONE, errors=True),
    Case("cmyk_only", VerdictKind.LEAK, CLONE),
    Case("one_byte", VerdictKind.LEAK, "malloc, called by ctypes"),
    Case("sixty_four_bytes", VerdictKind.LEAK, "malloc, called by ctypes"),
    Case("thread_local", VerdictKind.LEAK, "malloc, called by ctypes"),
    Case("growing_buffer", VerdictKind.LEAK, "PyByteArray_Resize"),
    Case("spill_to_map", VerdictKind.SPILL, CLONE, "map"),
    Case("spill_to_disk", VerdictKind.SPILL, CLONE, "disk"),
    Case("descriptor", VerdictKind.SPILL, what="descriptors"),
    Case("cache_that_fills", VerdictKind.GROWTH),
    Case("fragmentation", VerdictKind.FRAGMENTATION),
    Case("python_cycle", VerdictKind.PYTHON, "tests.leaks.planted.Node in a cycle", "waiting"),
    Case("python_objects", VerdictKind.PYTHON, "planted.py", "python"),
)
