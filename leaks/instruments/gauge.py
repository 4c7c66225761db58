"""`gauge`: glibc's count of the heap, ImageMagick's count of its pixel caches, descriptors, and Python's blocks.

It is the cheapest: nothing is preloaded, and a job takes some microseconds longer. The count is exact only without
glibc's thread cache, whose free blocks count as allocated; with it, clean runs drift by kilobytes.
"""

from leaks.report import Report
from leaks.run import Run
from leaks.verdict import judge

WITHOUT_THREAD_CACHE = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}

LIMITATIONS = "It names no function, and does not see which job allocated a block, nor memory mapped outside malloc."


def hunt(run: Run) -> Report:
    """Read the probes after each job."""
    measurements = run.run_child("none", "gauge", environment=WITHOUT_THREAD_CACHE)
    return Report(run.subject.name, "gauge", judge(measurements), run.jobs, measurements, limitations=LIMITATIONS)
