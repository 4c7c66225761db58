"""Run hostile cases: plan each three times, then render it in a sandboxed child under strace."""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.sandbox.child import Limits, Report, run

from cli.commands.render import explain_death
from tasks.plan import PlanError, check_memory_limit, plan
from tasks.renders import RenderOptions
from tests.hostile.corpus import Case

MEMORY_LIMIT = 512 * 1024**2
ROOT = Path(__file__).parents[2]

# With -D the tracer is a grandchild of the child, not its parent: the sandbox still supervises and kills the child.
TRACER = ("strace", "-D", "-f", "-qq", "--seccomp-bpf", "-s", "4096")
CALLS = "trace=open,openat,creat,mkdir,mkdirat,socket,connect"
TRACER_TIMEOUT = 5.0  # seconds to write the rest of the trace

# The path in a system call.
_PATH_IN_CALL = re.compile(r'\d+ +(?:open|openat|creat|mkdir|mkdirat)\((?:[^",]*, )?"((?:[^"\\]|\\.)*)"')
_CREATES_FILE = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|(?:creat|mkdir|mkdirat)\(")
_CREATES_NOTHING = re.compile(r"= -1 E|O_TMPFILE")  # O_TMPFILE creates files without a name
_SOCKET = re.compile(r"socket\(AF_(?!UNIX)|sa_family=AF_(?!UNIX)")
# Writable for any program.
_ALWAYS_WRITABLE = ("/dev/", "/proc/self/")


@dataclass
class Outcome:
    """The outcome of a case. `refusal` and `error` have a code and a detail; `seconds` is the planner's best time."""

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
    """A case whose file is `source`, alone in its folder."""

    case: Case
    source: Path
    outcome: Outcome

    @property
    def out(self) -> Path:
        return self.source.parent / "out"


def plan_case(case: Case, source: Path) -> Outcome:
    """Run the planner three times and record its result and best time."""
    outcome, times = Outcome(), []
    for _ in range(3):
        started = time.perf_counter()
        try:
            check_memory_limit(plan(source, case.file), MEMORY_LIMIT)
        except PlanError as error:
            outcome.refusal = {"code": error.code, "detail": error.message}
        times.append(time.perf_counter() - started)
    outcome.seconds = min(times)
    return outcome


def render_trials(trials: Sequence[Trial], scratch: Path) -> None:
    """Render the accepted trials in sandboxed children and record each outcome.

    A child renders one trial after the other, like a warm worker. If it dies, that trial is repeated first in a fresh
    child, whose result counts.
    """
    remaining, number = list(trials), 0
    while remaining:
        number += 1
        finished = _Child(remaining, scratch / str(number)).run()
        del remaining[:finished]


class _Child:
    """One child and its trials. `scratch` is a new folder of its own."""

    def __init__(self, trials: Sequence[Trial], scratch: Path) -> None:
        self._trials = trials
        self._by_source = {str(trial.source): trial for trial in trials}
        self._scratch = scratch
        self._finished = 0
        self._started = 0.0
        self._last: Report = {}

    def run(self) -> int:
        """Render, and return the number of trials that have an outcome."""
        self._scratch.mkdir(parents=True)
        trace = self._scratch.with_suffix(".trace")
        child = [sys.executable, "-P", "-m", "tests.hostile.render_batch", RenderOptions(width=512).model_dump_json()]
        for trial in self._trials:
            trial.out.mkdir(exist_ok=True)
            child += [str(trial.source), str(trial.out)]
        environment = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self._scratch), "PYTHONDONTWRITEBYTECODE": "1"}
        self._started = time.monotonic()
        exit_info = run(
            [*TRACER, "-e", CALLS, "-o", str(trace), *child],
            Limits(memory=MEMORY_LIMIT, time_limit=self._trials[0].case.timeout),
            self._on_report,
            environment=os.environ | environment,
        )
        if exit_info.death is not None and self._finished == 0:
            self._finish_trial(
                {"code": exit_info.death.cause, "detail": explain_death(exit_info, self._last, MEMORY_LIMIT)}
            )
        self._assign_trace(_read_trace(trace))
        for trial in self._trials[: self._finished]:
            trial.outcome.leftovers = [str(path) for path in self._scratch.rglob("*")]
            trial.outcome.leftovers += [
                path.name for path in trial.source.parent.iterdir() if path not in {trial.source, trial.out}
            ]
        return self._finished

    def _on_report(self, report: Report) -> None:
        if "status" in report:
            failed = report["status"] != 0
            report_error = {
                "code": self._last.get("code", "internal-error"),
                "detail": self._last.get("message", "It said nothing."),
            }
            self._finish_trial(report_error if failed else None)
        elif "source" in report:
            self._started = time.monotonic()
        self._last = report

    def _finish_trial(self, error: dict[str, str] | None) -> None:
        trial = self._trials[self._finished]
        self._finished += 1
        trial.outcome.error, trial.outcome.drawing_seconds = error, time.monotonic() - self._started
        if error is None:
            trial.outcome.manifest = json.loads((trial.out / "manifest.json").read_text())

    def _assign_trace(self, lines: list[str]) -> None:
        """Assign each line of the trace to a trial. A trial begins when its source is opened."""
        ignored = (str(self._scratch), *(str(trial.out) for trial in self._trials), *_ALWAYS_WRITABLE)
        outcome = self._trials[0].outcome
        for line in lines:
            if _SOCKET.search(line):
                outcome.sockets.append(line)
            match = _PATH_IN_CALL.match(line)
            if match is None:
                continue
            name = match[1].encode().decode("unicode_escape")
            outcome = self._by_source[name].outcome if name in self._by_source else outcome
            outcome.opened.append(name)
            if _CREATES_FILE.search(line) and not _CREATES_NOTHING.search(line) and not name.startswith(ignored):
                outcome.created.append(name)


def _read_trace(trace: Path) -> list[str]:
    """Return the trace once it is complete: the tracer outlives the child by a moment."""
    deadline = time.monotonic() + TRACER_TIMEOUT
    size = -1
    while size != (size := trace.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return trace.read_text(errors="replace").splitlines()
