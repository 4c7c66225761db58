"""Where a hostile case is tried: planned thrice, then drawn by a fenced child while each file it opens is noted."""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.commands.render import explain_death
from tasks.plan import PlanError, check_memory_limit, plan
from tasks.renders import RenderOptions
from tests.hostile.corpus import Case
from workers.sandbox.child import Limits, Report, run

MEMORY_LIMIT = 512 * 1024**2
ROOT = Path(__file__).parents[2]

# The tracer is no parent of the child but its grandchild (-D), so that the fence watches and kills the child itself.
TRACER = ("strace", "-D", "-f", "-qq", "--seccomp-bpf", "-s", "4096")
CALLS = "trace=open,openat,creat,mkdir,mkdirat,socket,connect"
TRACER_TIMEOUT = 5.0  # seconds to write its last lines

# A file that a system call names.
_PATH_IN_CALL = re.compile(r'\d+ +(?:open|openat|creat|mkdir|mkdirat)\((?:[^",]*, )?"((?:[^"\\]|\\.)*)"')
_CREATES_FILE = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|(?:creat|mkdir|mkdirat)\(")
_CREATES_NOTHING = re.compile(r"= -1 E|O_TMPFILE")  # the latter makes files that no directory knows
_SOCKET = re.compile(r"socket\(AF_(?!UNIX)|sa_family=AF_(?!UNIX)")
# What any program may write to.
_ALWAYS_WRITABLE = ("/dev/", "/proc/self/")


@dataclass
class Outcome:
    """What became of a case. `refusal` and `error` have a code and a detail; `seconds` is the planner's best time."""

    seconds: float = 0.0
    drawing_seconds: float = 0.0
    refusal: dict[str, str] | None = None
    error: dict[str, str] | None = None
    manifest: dict[str, Any] | None = None
    opened: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """A case that lies at `source`, alone in its folder."""

    case: Case
    source: Path
    outcome: Outcome

    @property
    def out(self) -> Path:
        return self.source.parent / "out"


def plan_case(case: Case, source: Path) -> Outcome:
    """What the planner says, and how fast."""
    verdict, times = Outcome(), []
    for _ in range(3):
        began = time.perf_counter()
        try:
            check_memory_limit(plan(source, case.file), MEMORY_LIMIT)
        except PlanError as error:
            verdict.refusal = {"code": error.code, "detail": error.message}
        times.append(time.perf_counter() - began)
    verdict.seconds = min(times)
    return verdict


def render_trials(jobs: Sequence[Trial], scratch: Path) -> None:
    """Let fenced children draw what the planner accepted, and note in each job's verdict how it ended.

    One child draws one job after the other, as a warm worker does. Where it dies, the job that it died of is tried
    once more, first in a fresh child; then that is its verdict.
    """
    waiting, number = list(jobs), 0
    while waiting:
        number += 1
        ended = _Child(waiting, scratch / str(number)).run()
        del waiting[:ended]


class _Child:
    """One child and the jobs that it was given. `scratch` is its own, new folder."""

    def __init__(self, jobs: Sequence[Trial], scratch: Path) -> None:
        self._jobs = jobs
        self._by_source = {str(job.source): job for job in jobs}
        self._scratch = scratch
        self._ended = 0
        self._began = 0.0
        self._last: Report = {}

    def run(self) -> int:
        """Draw; the number of jobs that have their verdict."""
        self._scratch.mkdir(parents=True)
        trace = self._scratch.with_suffix(".trace")
        child = [sys.executable, "-P", "-m", "tests.hostile.many", RenderOptions(width=512).model_dump_json()]
        for job in self._jobs:
            job.out.mkdir(exist_ok=True)
            child += [str(job.source), str(job.out)]
        environment = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self._scratch), "PYTHONDONTWRITEBYTECODE": "1"}
        self._began = time.monotonic()
        ending = run(
            [*TRACER, "-e", CALLS, "-o", str(trace), *child],
            Limits(memory=MEMORY_LIMIT, time_limit=self._jobs[0].case.timeout),
            self._on_report,
            environment=os.environ | environment,
        )
        if ending.death is not None and self._ended == 0:
            self._finish_trial({"code": ending.death.cause, "detail": explain_death(ending, self._last, MEMORY_LIMIT)})
        self._assign_trace(_read_trace(trace))
        for job in self._jobs[: self._ended]:
            job.outcome.leftovers = [str(path) for path in self._scratch.rglob("*")]
            job.outcome.leftovers += [
                path.name for path in job.source.parent.iterdir() if path not in {job.source, job.out}
            ]
        return self._ended

    def _on_report(self, report: Report) -> None:
        if "status" in report:
            failed = report["status"] != 0
            told = {"code": self._last.get("code", "internal-error"), "detail": self._last.get("message", "It said nothing.")}
            self._finish_trial(told if failed else None)
        elif "source" in report:
            self._began = time.monotonic()
        self._last = report

    def _finish_trial(self, error: dict[str, str] | None) -> None:
        job = self._jobs[self._ended]
        self._ended += 1
        job.outcome.error, job.outcome.drawing_seconds = error, time.monotonic() - self._began
        if error is None:
            job.outcome.manifest = json.loads((job.out / "manifest.json").read_text())

    def _assign_trace(self, lines: list[str]) -> None:
        """Give each line of the trace to the job that was drawn then: a job begins when its source is opened."""
        own = (str(self._scratch), *(str(job.out) for job in self._jobs), *_ALWAYS_WRITABLE)
        verdict = self._jobs[0].outcome
        for line in lines:
            if _SOCKET.search(line):
                verdict.sockets.append(line)
            found = _PATH_IN_CALL.match(line)
            if found is None:
                continue
            name = found[1].encode().decode("unicode_escape")
            verdict = self._by_source[name].outcome if name in self._by_source else verdict
            verdict.opened.append(name)
            if _CREATES_FILE.search(line) and not _CREATES_NOTHING.search(line) and not name.startswith(own):
                verdict.created.append(name)


def _read_trace(trace: Path) -> list[str]:
    """The trace, once its tracer has written all of it: it outlives the child by a moment."""
    deadline = time.monotonic() + TRACER_TIMEOUT
    size = -1
    while size != (size := trace.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return trace.read_text(errors="replace").splitlines()
