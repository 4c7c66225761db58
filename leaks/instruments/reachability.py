"""Builds the report of LeakSanitizer and memcheck, which both list unreachable blocks."""

from dataclasses import dataclass, field
from pathlib import Path

from leaks.measurements import warm_up_jobs
from leaks.report import Report
from leaks.roots import AllocationSite, Frame, make_root
from leaks.run import Run
from leaks.verdict import MIN_JOBS_WITH_SURVIVORS, Verdict, VerdictKind


@dataclass(slots=True)
class LostBlocks:
    """Blocks of one stack that nothing points to (`direct`), or only other lost blocks."""

    direct: bool
    bytes: int
    blocks: int
    stack: list[Frame] = field(default_factory=list)


def build_report(run: Run, instrument: str, lost: list[LostBlocks], files: list[Path], limitations: str) -> Report:
    """A leak if one stack lost blocks in more jobs than coincidence explains."""
    counted = run.jobs - warm_up_jobs(run.jobs)
    repeated = [each for each in lost if each.direct and each.blocks >= max(MIN_JOBS_WITH_SURVIVORS, counted // 20)]
    size, blocks = sum(each.bytes for each in lost), sum(each.blocks for each in lost)
    verdict = Verdict(VerdictKind.CLEAN, "reachability", "All allocated memory is reachable.", measured=counted)
    if repeated:
        direct = sum(each.blocks for each in repeated)
        explanation = (
            f"{size:,} bytes in {blocks:,} blocks of {counted} jobs are unreachable, "
            f"{direct:,} blocks of them directly."
        )
        verdict = Verdict(
            VerdictKind.LEAK, "reachability", explanation, size / counted, blocks / counted, measured=counted
        )
    report = Report(run.subject.name, instrument, verdict, run.jobs, files=files, limitations=limitations)
    report.roots = sorted(
        (make_root(tuple(each.stack), each.bytes, each.blocks, each.blocks) for each in repeated),
        key=lambda root: -root.bytes,
    )
    if repeated:
        report.sites = [AllocationSite(tuple(each.stack), each.bytes, each.blocks) for each in lost]
    return report
