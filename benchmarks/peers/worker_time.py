"""The time that a worker adds to the engine: the same drawings rendered by the bare engine and as jobs, alternately."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from benchmarks.support.drawings import WIDTH, dxf
from tasks import app
from tasks.jobs import Job, Ledger, Outcome, State, open_ledger
from tasks.jobs.messages import render_message
from tasks.messaging.publisher import Publisher
from tasks.plan import plan
from tasks.renders import TASK, RenderOptions, source_key
from tasks.settings import settings
from tasks.storage import open_store
from tests.services.platform import Platform

TENANT = "local"

# Jobs per turn, and turns. The first job of a turn waits for an idle worker and is not counted.
JOBS_PER_TURN = 12
TURNS = 6

# The first drawings make the engine load its libraries.
WARM_UP = 4

# Time limit of a turn (seconds).
TIMEOUT = 60.0


def measure_worker_time(platform: Platform, home: Path, report: Callable[[str], None]) -> dict[str, float]:
    """Medians in milliseconds: `bare_ms` of the engine, `attempt_ms` from claim to result, `job_ms` from one job
    to the next with a queue that is never empty, and `overhead_ms`, the time of a job beyond the bare engine.
    """
    publish = JobSubmitter(open_ledger(settings()))
    platform.start_worker("render1")
    with bare_engine(home) as bare:
        for path in write_drawings(home, range(WARM_UP)):
            time_bare_render(bare, path)
        publish.run(write_drawings(home, range(WARM_UP)))
        engine: list[float] = []
        attempts: list[float] = []
        cycles: list[float] = []
        for turn in range(TURNS):
            numbers = range(1000 * (turn + 1), 1000 * (turn + 1) + JOBS_PER_TURN)
            engine += [time_bare_render(bare, path) for path in write_drawings(home, numbers)]
            spans = publish.run(write_drawings(home, numbers))
            attempts += [ended - started for started, ended in spans[1:]]
            cycles += [after - before for (before, _), (after, _) in pairwise(spans)][1:]
            report(f"turn {turn + 1}: {_ms(engine)} ms bare engine, {_ms(cycles)} ms per job")
    return {
        "bare_ms": _ms(engine),
        "attempt_ms": _ms(attempts),
        "job_ms": _ms(cycles),
        "overhead_ms": round(_ms(cycles) - _ms(engine), 1),
    }


class JobSubmitter:
    """Submits renders like the web tier, and reads their start and end times from the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._store = open_store(settings().store_url)
        self._publisher = Publisher(app, settings().publish_timeout)

    def run(self, paths: Sequence[Path]) -> list[tuple[float, float]]:
        """Run jobs. Returns start and end of their attempts in seconds, ordered by start."""
        jobs = [self._accept(path) for path in paths]
        for job in jobs:
            self._publisher.publish(TASK, job.id, render_message(job).model_dump(mode="json"))
            self._ledger.jobs.mark_published(job.id, time.time())
        deadline = time.monotonic() + TIMEOUT
        while any((found := self._ledger.jobs.find(job.id)) and found.state is not State.SUCCEEDED for job in jobs):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(jobs)} jobs were not done within {TIMEOUT:g} s.")
            time.sleep(0.2)
        return sorted(self._span(job.id) for job in jobs)

    def _accept(self, path: Path) -> Job:
        now, name = time.time(), str(uuid4())
        source = source_key(TENANT, name)
        digest = self._store.put(source, path.read_bytes())
        options = RenderOptions(width=WIDTH)
        planned = plan(path, path.name, width=WIDTH, tiles=options.tiles)
        job = Job(
            name,
            TENANT,
            State.ACCEPTED,
            source,
            path.name,
            options.model_dump(),
            created_at=now,
            updated_at=now,
            digest=digest,
            size=planned.size,
            plan=planned.as_dict(),
        )
        self._ledger.jobs.accept(job)
        return job

    def _span(self, job: str) -> tuple[float, float]:
        (attempt,) = self._ledger.attempts.history(job)
        if attempt.outcome is not Outcome.SUCCEEDED or attempt.ended_at is None or (attempt.facts or {}).get("reused"):
            raise RuntimeError(f"Job {job} was not rendered at the first attempt: {attempt}")
        return attempt.started_at, attempt.ended_at


def bare_engine(home: Path) -> "subprocess.Popen[str]":
    """Start a process that renders with the bare engine; use it as a context manager."""
    command = [sys.executable, "-m", "benchmarks.peers.bare_engine", str(home)]
    # In its own session, like a worker: the kernel distributes CPU time by session.
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def time_bare_render(bare: "subprocess.Popen[str]", path: Path) -> float:
    """Seconds in which the bare engine renders a drawing."""
    assert bare.stdin is not None
    assert bare.stdout is not None
    print(path, file=bare.stdin, flush=True)
    return float(bare.stdout.readline())


def write_drawings(home: Path, numbers: range) -> list[Path]:
    """Write the drawings with these numbers to files."""
    paths = [home / f"{number}.dxf" for number in numbers]
    for number, path in zip(numbers, paths, strict=True):
        path.write_bytes(dxf(number))
    return paths


def _ms(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1000, 1)
