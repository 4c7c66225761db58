"""`gauge`: glibc's own count of the heap, ImageMagick's of its pixel caches, descriptors, Python's blocks.

The cheapest: nothing is preloaded, a job costs some microseconds more. The count is exact only without the thread
cache, whose free blocks count as allocated: with it, clean runs drift by kilobytes.
"""

from leaks.report import Report
from leaks.run import Run
from leaks.verdict import judge

WITHOUT_THREAD_CACHE = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}

LIMITATIONS = "It names no function, and sees neither which job a block is from nor memory mapped outside malloc."


def hunt(run: Run) -> Report:
    """Gauges after each job, and a verdict."""
    samples = run.run_child("nobody", "gauge", environment=WITHOUT_THREAD_CACHE)
    return Report(run.subject.name, "gauge", judge(samples), run.jobs, samples, limitations=LIMITATIONS)
