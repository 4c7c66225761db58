"""The planted corpus: each job of `planted.py` with the verdict that it deserves."""

from dataclasses import dataclass

from leaks.target import Subject
from leaks.verdict import Kind

CLONE = "CloneMagickWand"


@dataclass(frozen=True, slots=True)
class Case:
    """A planted job. `root` is who must be named first, where a name can be known; `errors`: its jobs raise."""

    name: str
    kind: Kind
    root: str = ""
    what: str = ""
    errors: bool = False

    @property
    def subject(self) -> Subject:
        """To hunt."""
        return Subject(f"tests.leaks.planted:{self.name}", {}, errors=self.errors)


# Enough for a leak in one job of ten to show in each quarter.
JOBS = 60

CASES = (
    Case("clean", Kind.CLEAN),
    Case("table_built_once", Kind.CLEAN),
    Case("ring_of_two", Kind.CLEAN),
    Case("small_cycles", Kind.CLEAN),
    Case("clone", Kind.LEAK, CLONE),
    Case("bare_clone", Kind.LEAK, CLONE),
    Case("one_in_ten", Kind.LEAK, CLONE),
    Case("per_layer", Kind.LEAK, CLONE),
    Case("error_path", Kind.LEAK, CLONE),
    Case("raises", Kind.LEAK, CLONE, errors=True),
    Case("cmyk_only", Kind.LEAK, CLONE),
    Case("one_byte", Kind.LEAK, "malloc, called by ctypes"),
    Case("sixty_four_bytes", Kind.LEAK, "malloc, called by ctypes"),
    Case("thread_local", Kind.LEAK, "malloc, called by ctypes"),
    Case("growing_buffer", Kind.LEAK, "PyByteArray_Resize"),
    Case("spill_to_map", Kind.SPILL, CLONE, "map"),
    Case("spill_to_disk", Kind.SPILL, CLONE, "disk"),
    Case("descriptor", Kind.SPILL, what="descriptors"),
    Case("cache_that_fills", Kind.GROWTH),
    Case("fragmentation", Kind.FRAGMENTATION),
    Case("python_cycle", Kind.PYTHON, "tests.leaks.planted.Node in a cycle", "waiting"),
    Case("python_objects", Kind.PYTHON, "planted.py", "python"),
)
