"""`memray`: Python and native frames of every allocation in one stack, by time of birth.

Its counts alone cry wolf at tables that are built once; the time of birth tells which job a block is from, and the
verdict is that of survivors. Its own capture stays beside the report, for `memray flamegraph --leaks`.
"""

import importlib.util
import json
from bisect import bisect_right
from collections import defaultdict
from itertools import accumulate
from pathlib import Path
from typing import Any

from leaks.errors import ToolMissing
from leaks.observers import CAPTURE
from leaks.report import Report
from leaks.roots import AllocationSite, Frame, Stack, make_root
from leaks.run import Run
from leaks.samples import Samples
from leaks.verdict import VerdictKind, judge, measured_jobs

NAME = "memray"

UNKNOWN = "<unknown>"

LIMITATIONS = "It does not see malloc called through ctypes directly, and it charges who allocated, not who lost it."


def hunt(run: Run) -> Report:
    """Jobs under memray's tracker. Raises ToolMissing."""
    if importlib.util.find_spec("memray") is None:
        raise ToolMissing("memray", "nothing from Debian: pip install 'bulkhead[leaks]'")
    capture = run.output_path(NAME).with_suffix(CAPTURE)
    capture.unlink(missing_ok=True)
    samples = run.run_child(NAME, NAME)
    began = json.loads(run.output_path(NAME).read_text())
    stacks = _count_survivors(samples, began, capture)
    report = Report(run.subject.name, NAME, judge(samples), run.jobs, samples, files=[capture], limitations=LIMITATIONS)
    if report.verdict.kind is not VerdictKind.CLEAN:
        report.sites = sorted((AllocationSite(s, *sums) for s, sums in stacks.items()), key=lambda place: -place.bytes)
        report.roots = [make_root(place.stack, place.bytes, place.blocks, place.blocks) for place in report.sites]
    return report


def _count_survivors(samples: Samples, began: list[int], capture: Path) -> dict[Stack, list[int]]:
    """Survivors by job of birth into `samples`; by stack as the answer: bytes, blocks."""
    import memray

    samples.kept_bytes, samples.kept_blocks = [0] * samples.jobs, [0] * samples.jobs
    counted = measured_jobs(samples)
    stacks: dict[Stack, list[int]] = defaultdict(lambda: [0, 0])
    with memray.FileReader(capture) as reader:
        times = [snapshot.time for snapshot in reader.get_memory_snapshots()]
        for record in reader.get_temporal_allocation_records(merge_threads=True):
            stack: Stack | None = None
            for each in record.intervals:
                born = times[min(each.allocated_before_snapshot, len(times) - 1)] if times else 0
                job = bisect_right(began, born)
                if each.deallocated_before_snapshot is None and job in counted:
                    stack = stack or _stack(record)
                    samples.kept_bytes[job - 1] += each.n_bytes
                    samples.kept_blocks[job - 1] += each.n_allocations
                    stacks[stack][0] += each.n_bytes
                    stacks[stack][1] += each.n_allocations
    samples.live = list(accumulate(samples.kept_bytes))  # glibc's count would count memray itself
    return stacks


def _stack(record: Any) -> Stack:
    frames = record.hybrid_stack_trace()
    return tuple(Frame("" if function == UNKNOWN else function, file, str(line)) for function, file, line in frames)
