"""`massif`: Valgrind's heap profiler, run twice: with N and with 2 N jobs. The growth of the peak is what jobs leak.

massif knows neither jobs nor the age of blocks. But memory that a job allocates and frees is part of both peaks, and
memory that each job leaks is in the second peak N times more. `footprint` is the same for the whole address space.
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

LIMITATIONS = "It knows no jobs and no pointers: it names the function that allocated, not the one that leaked."

FLAGS = ("--peak-inaccuracy=0.0", "--threshold=0.01", "--depth=30", "--max-snapshots=100")

# Growth of the peak that counts (bytes), for any number of jobs: the peak of one more job may be that much higher by
# chance. Clean jobs reached 42 kB.
MIN_GROWTH = 128 * 1024

# A stack is listed if it has at least this share of the growth.
MIN_SITE_SHARE = 0.01

_LINE = re.compile(r"^( *)n(\d+): (\d+) (?:0x([0-9A-F]+): (.*)|(.*))$")
_PLACE = re.compile(r"^(.*?) \((?:in )?([^()]*)\)$")


def hunt(run: Run, name: str = NAME, flags: tuple[str, ...] = (), min_growth: int = MIN_GROWTH) -> Report:
    """Run the jobs twice with massif. Raises ToolMissing."""
    outputs: list[list[str]] = []
    files: list[Path] = []
    for jobs in (run.jobs, 2 * run.jobs):
        file = run.output_path(f"{name}.{jobs}", ".out")
        before = [*valgrind_command("massif"), *FLAGS, *flags, f"--massif-out-file={file}"]
        run.run_child("none", f"{name}, {jobs} jobs", jobs=jobs, command_prefix=before, environment=ENVIRONMENT)
        outputs.append(file.read_text(errors="replace").splitlines())
        files += [file, *_run_ms_print(file)]
    few, many = outputs
    grown = peak_bytes(many) - peak_bytes(few)
    if grown < min_growth:
        explanation = f"{2 * run.jobs} jobs have the same peak as {run.jobs}."
        verdict = Verdict(VerdictKind.CLEAN, "peak", explanation, measured=run.jobs)
        return Report(run.subject.name, name, verdict, run.jobs, files=files, limitations=LIMITATIONS)
    explanation = (
        f"The peak of {2 * run.jobs} jobs is {grown:,} bytes higher than that of {run.jobs}: "
        f"{grown / run.jobs:,.0f} bytes per job."
    )
    verdict = Verdict(VerdictKind.LEAK, "peak", explanation, grown / run.jobs, measured=run.jobs)
    report = Report(run.subject.name, name, verdict, run.jobs, files=files, limitations=LIMITATIONS)
    report.sites = sorted(
        _grown(peak_snapshot(few), peak_snapshot(many), MIN_SITE_SHARE * grown), key=lambda place: -place.bytes
    )
    report.roots = [make_root(place.stack, place.bytes, place.blocks, place.blocks) for place in report.sites]
    return report


def peak_bytes(lines: list[str]) -> int:
    """Bytes at the highest peak that massif recorded."""
    return max(int(line.partition("=")[2]) for line in lines if line.startswith("mem_heap_B="))


def peak_snapshot(lines: list[str]) -> dict[Stack, int]:
    """Bytes by stack in the largest detailed snapshot of massif's output."""
    best: list[str] = []
    size = -1
    current: list[str] = []
    for line in [*lines, "snapshot="]:
        if line.startswith("snapshot="):
            if current and (match := _LINE.match(current[0])) and int(match[3]) > size:
                best, size = current, int(match[3])
            current = []
        elif _LINE.match(line):
            current.append(line)
    return dict(_leaves(best))


def _leaves(lines: list[str]) -> Iterator[tuple[Stack, int]]:
    """Stacks, innermost frame first: in massif's tree, children are callers."""
    path: list[Frame] = []
    for line in lines:
        match = _LINE.match(line)
        assert match is not None  # noqa: S101 -- the caller collects only such lines
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
    """Write the output of ms_print beside massif's file, if ms_print is installed."""
    program = shutil.which("ms_print")
    if program is None:
        return
    text = file.with_suffix(".txt")
    with text.open("wb") as out:
        subprocess.run([program, str(file)], stdout=out, check=False)
    yield text
