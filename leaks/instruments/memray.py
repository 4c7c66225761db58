"""`memray`: Python and native frames of every allocation in one stack, with the time of the allocation.

Its counts alone give false alarms for tables that are built once. The time tells which job allocated a block, and the
verdict is the same as for survivors. The capture is stored beside the report, for `memray flamegraph --leaks`.
"""

import importlib.util
import json
from bisect import bisect_right
from collections import defaultdict
from itertools import accumulate
from pathlib import Path
from typing import Any

from leaks.errors import ToolMissing
from leaks.measurements import Measurements
from leaks.observers import CAPTURE
from leaks.report import Report
from leaks.roots import AllocationSite, Frame, Stack, make_root
from leaks.run import Run
from leaks.verdict import VerdictKind, judge, measured_jobs

NAME = "memray"

UNKNOWN = "<unknown>"

LIMITATIONS = (
    "It does not see malloc called through ctypes. It names the function that allocated, not the one that leaked."
)


def hunt(run: Run) -> Report:
    """Run the jobs with memray's tracker. Raises ToolMissing."""
    if importlib.util.find_spec("memray") is None:
        raise ToolMissing("memray", "nothing from Debian: pip install 'bulkhead[leaks]'")
    capture = run.output_path(NAME).with_suffix(CAPTURE)
    capture.unlink(missing_ok=True)
    measurements = run.run_child(NAME, NAME)
    started = json.loads(run.output_path(NAME).read_text())
    stacks = _count_survivors(measurements, started, capture)
    report = Report(
        run.subject.name, NAME, judge(measurements), run.jobs, measurements, files=[capture], limitations=LIMITATIONS
    )
    if report.verdict.kind is not VerdictKind.CLEAN:
        report.sites = sorted((AllocationSite(s, *sums) for s, sums in stacks.items()), key=lambda place: -place.bytes)
        report.roots = [make_root(place.stack, place.bytes, place.blocks, place.blocks) for place in report.sites]
    return report


def _count_survivors(measurements: Measurements, started: list[int], capture: Path) -> dict[Stack, list[int]]:
    """Count survivors by job into `measurements`. Returns their bytes and blocks by stack."""
    import memray

    measurements.kept_bytes, measurements.kept_blocks = [0] * measurements.jobs, [0] * measurements.jobs
    counted = measured_jobs(measurements)
    stacks: dict[Stack, list[int]] = defaultdict(lambda: [0, 0])
    with memray.FileReader(capture) as reader:
        times = [snapshot.time for snapshot in reader.get_memory_snapshots()]
        for record in reader.get_temporal_allocation_records(merge_threads=True):
            stack: Stack | None = None
            for each in record.intervals:
                allocated_at = times[min(each.allocated_before_snapshot, len(times) - 1)] if times else 0
                job = bisect_right(started, allocated_at)
                if each.deallocated_before_snapshot is None and job in counted:
                    stack = stack or _stack(record)
                    measurements.kept_bytes[job - 1] += each.n_bytes
                    measurements.kept_blocks[job - 1] += each.n_allocations
                    stacks[stack][0] += each.n_bytes
                    stacks[stack][1] += each.n_allocations
    measurements.live = list(accumulate(measurements.kept_bytes))  # glibc's count includes memray itself
    return stacks


def _stack(record: Any) -> Stack:
    frames = record.hybrid_stack_trace()
    return tuple(Frame("" if function == UNKNOWN else function, file, str(line)) for function, file, line in frames)
