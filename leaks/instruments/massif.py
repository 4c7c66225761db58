"""`massif`: Valgrind's heap profiler, twice: N jobs and 2 N jobs. What grew between the two peaks is what jobs leave.

massif knows no jobs and keeps no block's age; but whatever one job takes and frees is in both peaks alike, and what
each leaves is there N times more. `footprint` is the same with --pages-as-heap=yes: the whole address space.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from leaks.instruments.valgrind import ENVIRONMENT, valgrind_command
from leaks.report import Report
from leaks.roots import AllocationSite, Frame, Stack, make_root
from leaks.run import Run
from leaks.verdict import Verdict, VerdictKind

NAME = "massif"

LIMITATIONS = "It knows stacks but neither jobs nor owners: it charges who allocated, not who lost it."

FLAGS = ("--peak-inaccuracy=0.0", "--threshold=0.01", "--depth=30", "--max-snapshots=100")

# Growth of the peak that counts, in bytes, however many jobs there are: the highest moment of one more job may lie that
# much above those before it. Of clean jobs it was up to 42 kB.
MIN_GROWTH = 128 * 1024

# Part of that growth that a stack must have to be listed.
MIN_SITE_SHARE = 0.01

_LINE = re.compile(r"^( *)n(\d+): (\d+) (?:0x([0-9A-F]+): (.*)|(.*))$")
_PLACE = re.compile(r"^(.*?) \((?:in )?([^()]*)\)$")


def hunt(run: Run, name: str = NAME, flags: tuple[str, ...] = (), min_growth: int = MIN_GROWTH) -> Report:
    """Jobs under massif, twice. Raises ToolMissing."""
    outputs: list[list[str]] = []
    files: list[Path] = []
    for jobs in (run.jobs, 2 * run.jobs):
        file = run.output_path(f"{name}.{jobs}", ".out")
        before = [*valgrind_command("massif"), *FLAGS, *flags, f"--massif-out-file={file}"]
        run.run_child("nobody", f"{name}, {jobs} jobs", jobs=jobs, command_prefix=before, environment=ENVIRONMENT)
        outputs.append(file.read_text(errors="replace").splitlines())
        files += [file, *_run_ms_print(file)]
    few, many = outputs
    grown = peak_bytes(many) - peak_bytes(few)
    if grown < min_growth:
        verdict = Verdict(VerdictKind.CLEAN, "peak", f"{2 * run.jobs} jobs peak as {run.jobs} do.", measured=run.jobs)
        return Report(run.subject.name, name, verdict, run.jobs, files=files, limitations=LIMITATIONS)
    why = f"{2 * run.jobs} jobs peak {grown:,} bytes above {run.jobs}: {grown / run.jobs:,.0f} a job."
    verdict = Verdict(VerdictKind.LEAK, "peak", why, grown / run.jobs, measured=run.jobs)
    report = Report(run.subject.name, name, verdict, run.jobs, files=files, limitations=LIMITATIONS)
    report.sites = sorted(
        _grown(peak_snapshot(few), peak_snapshot(many), MIN_SITE_SHARE * grown), key=lambda place: -place.bytes
    )
    report.roots = [make_root(place.stack, place.bytes, place.blocks, place.blocks) for place in report.sites]
    return report


def peak_bytes(lines: list[str]) -> int:
    """Bytes at the highest moment that massif saw."""
    return max(int(line.partition("=")[2]) for line in lines if line.startswith("mem_heap_B="))


def peak_snapshot(lines: list[str]) -> dict[Stack, int]:
    """Bytes by stack in the largest detailed snapshot of massif's output."""
    best: list[str] = []
    size = -1
    current: list[str] = []
    for line in [*lines, "snapshot="]:
        if line.startswith("snapshot="):
            if current and (found := _LINE.match(current[0])) and int(found[3]) > size:
                best, size = current, int(found[3])
            current = []
        elif _LINE.match(line):
            current.append(line)
    return dict(_leaves(best))


def _leaves(lines: list[str]) -> Iterator[tuple[Stack, int]]:
    """Stacks, innermost first: in massif's tree children are callers."""
    path: list[Frame] = []
    for line in lines:
        match = _LINE.match(line)
        assert match is not None  # noqa: S101 -- only such lines are kept
        depth, callers, size = len(match[1]), int(match[2]), int(match[3])
        del path[max(depth - 1, 0) :]
        if match[4]:
            path.append(_frame(match[4], match[5]))
        if callers == 0 and match[4] and size:
            yield tuple(path), size


def _frame(address: str, text: str) -> Frame:
    match = _PLACE.match(text)
    function, file = (match[1], match[2]) if match else (text, "")
    return Frame("" if function == "???" else function, file, f"0x{address}")


def _grown(before: dict[Stack, int], after: dict[Stack, int], min_bytes: float) -> Iterator[AllocationSite]:
    for stack, size in after.items():
        grown = size - before.get(stack, 0)
        if grown >= min_bytes:
            yield AllocationSite(stack, grown, 0)


def _run_ms_print(file: Path) -> Iterator[Path]:
    """ms_print's own rendering, beside massif's file."""
    program = shutil.which("ms_print")
    if program is None:
        return
    text = file.with_suffix(".txt")
    with text.open("wb") as out:
        subprocess.run([program, str(file)], stdout=out, check=False)
    yield text
