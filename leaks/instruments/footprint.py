"""`footprint`: massif with --pages-as-heap=yes, which counts every mapped page.

It shows the whole address space but names the wrong function: the heap of glibc grows inside an arbitrary malloc, and
massif charges that call. For a leaked clone of a wand it never names CloneMagickWand.
"""

from leaks.instruments import massif
from leaks.report import Report
from leaks.run import Run

NAME = "footprint"

# Growth of the peak that counts (bytes). Heaps and mappings grow by many pages at once; clean jobs reached 381 kB.
MIN_GROWTH = 1024**2


def hunt(run: Run) -> Report:
    """Run massif for pages."""
    return massif.hunt(run, NAME, ("--pages-as-heap=yes",), MIN_GROWTH)
