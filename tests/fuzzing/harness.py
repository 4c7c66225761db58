"""Render damaged files in child processes, which may die, and count the outcomes.

    python -m tests.fuzzing.harness FAMILY --count 5000 --seed 1 --keep findings

Two children render many files each, with limits of time and memory for each file. Prints one line of JSON, and progress
on standard error. The same family, seed and number always give the same file; `--only NUMBER` runs one of them.
"""

import argparse
import json
import os
import random
import selectors
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from tests.fuzzing.child import DEFECT, MEMORY_LIMIT
from tests.fuzzing.mutate import mutate
from tests.fuzzing.seeds import FAMILIES, seeds

ROOT = Path(__file__).resolve().parents[2]

CHILDREN = 2
WIDTH = 200
SECONDS_EACH = 10.0
INTERVAL = 0.05

# Files that a child renders before it is replaced, so that leaked memory is not attributed to a later file.
FILES_PER_CHILD = 250

# Without one DWG is rejected. The child stands in for it.
CONVERTER = "convert {source} {target}"

DIED, HUNG, OVER_LIMIT, LEFTOVER = "died", "hung", "over memory limit", "leftover file"
UNACCEPTABLE = (DEFECT, DIED, HUNG, LEFTOVER)


@dataclass(frozen=True)
class Job:
    """A damaged file and its options. `streamed` reads a small DXF as if it were large."""

    name: str
    data: bytes
    options: dict[str, Any]
    streamed: bool


@dataclass
class Report:
    """The outcomes of a family's files."""

    family: str
    seed: int
    files: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    slowest_plan_seconds: float = 0.0
    largest_bytes: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def unacceptable(self) -> dict[str, int]:
        """Counts of unacceptable outcomes."""
        return {name: self.outcomes[name] for name in UNACCEPTABLE if self.outcomes[name]}


def jobs(family: str, seed: int, numbers: Iterable[int]) -> Iterator[Job]:
    """Yield the damaged files with these numbers."""
    originals = seeds(family)
    for number in numbers:
        name = f"{family}-{seed}-{number}"
        generator = random.Random(name)
        data = mutate(generator.choice(originals), originals, family, generator)
        options = {
            "width": WIDTH,
            "background": generator.choice(("light", "dark", "transparent")),
            "tiles": generator.random() < 0.15,
            "layer_tiles": generator.random() < 0.3,
            "line_work": generator.random() < 0.3,
            "page": 2 if generator.random() < 0.05 else 1,
            "layout": "Layout1" if generator.random() < 0.15 else "",
        }
        yield Job(name, data, options, generator.random() < 0.3)


class Child:
    """A process, its folder and its current file. Its temporary directory must be empty after each file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self.out = folder / "out"
        self.job: Job | None = None
        self.started = time.monotonic()
        self.done = 0
        self.peak = 0
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.fuzzing.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=self.temporary,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(self.temporary),
                "BULKHEAD_DWG_CONVERTER": CONVERTER,
            },
        )

    def start(self, job: Job) -> None:
        """Send a job."""
        source = self.folder / "source"
        source.write_bytes(job.data)
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        request = {"source": str(source), "out": str(self.out), "options": job.options, "streamed": job.streamed}
        assert self.process.stdin is not None
        self.job, self.started, self.peak = job, time.monotonic(), 0
        with suppress(BrokenPipeError):  # it died between two files; `run` reads its end next
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def remove_leftovers(self) -> list[str]:
        """Delete and return the files left behind."""
        leftovers = [path for path in self.temporary.iterdir() if path.name != "__pycache__"]
        for path in leftovers:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return [path.name for path in leftovers]

    def resident(self) -> int:
        """Return the current resident memory in bytes."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def stop(self) -> int:
        """Kill the process and return its exit status."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._log):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return status

    @property
    def stderr_tail(self) -> str:
        """The end of its standard error."""
        return (self.folder / "log").read_bytes()[-300:].decode(errors="replace")


class Pool:
    """Two children, shared by any number of families."""

    def __init__(self, seconds_each: float = SECONDS_EACH, keep: Path | None = None) -> None:
        self._seconds = seconds_each
        self._keep = keep
        self._home = TemporaryDirectory(prefix="bulkhead-fuzz-")
        self._selector = selectors.DefaultSelector()
        self._count = 0
        self._children = [self._child() for _ in range(CHILDREN)]

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        for child in self._children:
            child.stop()
        self._selector.close()
        self._home.cleanup()

    def run(self, report: Report, work: Iterator[Job], until: float = float("inf")) -> None:
        """Render all of `work`, starting none after the monotonic time `until`, and add the outcomes to `report`."""
        started = time.monotonic()
        busy: set[int] = set()
        for slot, child in enumerate(self._children):
            self._next(slot, child, work, busy)
        while busy:
            for key, _events in self._selector.select(INTERVAL):
                slot = key.data
                child = self._children[slot]
                assert child.process.stdout is not None
                line = child.process.stdout.readline()
                if not line:
                    self._on_death(report, child)
                    child = self._replace(slot)
                elif child.job is None:
                    continue  # it has just started
                else:
                    self._on_answer(report, child, json.loads(line))
                    child = self._replace(slot) if child.done >= FILES_PER_CHILD else child
                busy.discard(slot)
                if time.monotonic() < until:
                    self._next(slot, child, work, busy)
            for slot in tuple(busy):
                if self._check_limits(report, self._children[slot]):
                    busy.discard(slot)
                    child = self._replace(slot)
                    if time.monotonic() < until:
                        self._next(slot, child, work, busy)
        report.seconds = round(time.monotonic() - started, 1)

    def _child(self, slot: int | None = None) -> Child:
        self._count += 1
        child = Child(Path(self._home.name, str(self._count)))
        assert child.process.stdout is not None
        child.process.stdout.readline()  # it is ready
        number = len(self._selector.get_map()) if slot is None else slot
        self._selector.register(child.process.stdout, selectors.EVENT_READ, number)
        return child

    def _replace(self, slot: int) -> Child:
        old = self._children[slot]
        assert old.process.stdout is not None
        self._selector.unregister(old.process.stdout)
        old.stop()
        shutil.rmtree(old.folder)
        self._children[slot] = self._child(slot)
        return self._children[slot]

    def _next(self, slot: int, child: Child, work: Iterator[Job], busy: set[int]) -> None:
        job = next(work, None)
        if job is not None:
            child.start(job)
            busy.add(slot)

    def _on_answer(self, report: Report, child: Child, result: dict[str, Any]) -> None:
        report.slowest_plan_seconds = max(report.slowest_plan_seconds, round(result.get("planned", 0.0), 4))
        self._record(report, child, result["outcome"], result["code"], result.get("detail", ""))
        if leftovers := child.remove_leftovers():
            report.outcomes[LEFTOVER] += 1
            self._add_finding(report, child, LEFTOVER, ", ".join(leftovers))
        child.job = None
        child.done += 1

    def _on_death(self, report: Report, child: Child) -> None:
        status = child.process.wait()
        self._record(report, child, DIED, str(status), child.stderr_tail)

    def _check_limits(self, report: Report, child: Child) -> bool:
        resident = child.resident()
        child.peak = max(child.peak, resident)
        if resident > MEMORY_LIMIT:
            self._record(report, child, OVER_LIMIT, "memory", f"{resident // 1024**2} MiB")
        elif time.monotonic() > child.started + self._seconds:
            self._record(report, child, HUNG, "time", "")
        else:
            return False
        return True

    def _record(self, report: Report, child: Child, outcome: str, code: str, detail: str) -> None:
        report.files += 1
        report.outcomes[outcome] += 1
        report.codes[f"{outcome}: {code}".removesuffix(": ")] += 1
        duration = time.monotonic() - child.started
        report.slowest_seconds = max(report.slowest_seconds, round(duration, 2))
        report.largest_bytes = max(report.largest_bytes, child.peak)
        if outcome in {*UNACCEPTABLE, OVER_LIMIT}:
            self._add_finding(report, child, outcome, f"{code} {detail}")
        elif duration > self._seconds / 2:
            self._add_finding(report, child, "slow", f"{outcome} {code} after {duration:.1f} s")

    def _add_finding(self, report: Report, child: Child, outcome: str, detail: str) -> None:
        assert child.job is not None
        report.findings.append(f"{child.job.name}: {outcome}: {detail}")
        if self._keep is not None:
            self._keep.mkdir(parents=True, exist_ok=True)
            (self._keep / child.job.name).write_bytes(child.job.data)
            (self._keep / f"{child.job.name}.json").write_text(json.dumps([outcome, detail, child.job.options]))


def main() -> int:
    """Run one family from the command line. Returns 1 if there are unacceptable outcomes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run only the file with this number")
    parser.add_argument("--seconds-each", type=float, default=SECONDS_EACH)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no file after this many seconds")
    parser.add_argument("--keep", type=Path, help="directory for files with findings")
    arguments = parser.parse_args()
    numbers = range(arguments.count) if arguments.only is None else [arguments.only]
    report = Report(arguments.family, arguments.seed)

    def with_progress() -> Iterator[Job]:
        for job in jobs(arguments.family, arguments.seed, numbers):
            if report.files % 100 == 0:
                print(f"{arguments.family} {report.files} {dict(report.outcomes)}", file=sys.stderr)
            yield job

    with Pool(arguments.seconds_each, arguments.keep) as pool:
        pool.run(report, with_progress(), time.monotonic() + arguments.seconds)
    print(json.dumps(vars(report), sort_keys=True))
    return 1 if report.unacceptable else 0


if __name__ == "__main__":
    sys.exit(main())
