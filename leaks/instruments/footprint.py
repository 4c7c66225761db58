"""`footprint`: massif with --pages-as-heap=yes. Every page that is mapped, by whoever maps it, counts.

It shows the whole footprint, and names the wrong one: glibc's heap grows inside some malloc or other, and that call is
charged. Of a cloned wand's leak it never names CloneMagickWand.
"""

from leaks.instruments import massif
from leaks.report import Report
from leaks.run import Run

NAME = "footprint"

# Growth of the peak that counts, in bytes: heaps and mappings grow by many pages at once. Of clean jobs it was up to
# 381 kB.
MIN_GROWTH = 1024**2


def hunt(run: Run) -> Report:
    """As massif does, for pages."""
    return massif.hunt(run, NAME, ("--pages-as-heap=yes",), MIN_GROWTH)
