"""Run hostile cases: plan each three times, then render it in the real sandbox, whose zygote runs under strace."""

import hashlib
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cli.commands.render import explain_death
from tasks.errors import BulkheadError
from tasks.plan import Plan, PlanError, check_memory_limit, plan
from tasks.renders import RenderOptions
from tests.hostile.corpus import Case
from workers.render.sandboxed import ZYGOTE, RenderRequest, render_sandboxed
from workers.sandbox.reports import Progress
from workers.sandbox.runner import Outcome as ProcessOutcome
from workers.sandbox.runner import ProcessDied, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote

MEMORY_LIMIT = 512 * 1024**2
WIDTH = 512

# Seconds of wall-clock time in excess of the limit of processor time: strace slows a process down, and others compute.
WALL_RESERVE = 60.0

# With -D the tracer is a grandchild of this process, not the parent of the zygote.
TRACER = ("strace", "-D", "-f", "-qq", "--seccomp-bpf", "-s", "4096")
CALLS = "trace=open,openat,creat,mkdir,mkdirat,socket,connect"
TRACER_TIMEOUT = 5.0  # seconds to write the rest of the trace

# The path in a system call.
_PATH_IN_CALL = re.compile(r'\d+ +(?:open|openat|creat|mkdir|mkdirat)\((?:[^",]*, )?"((?:[^"\\]|\\.)*)"')
_CREATES_FILE = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|(?:creat|mkdir|mkdirat)\(")
_CREATES_NOTHING = re.compile(r"= -1 E|O_TMPFILE")  # O_TMPFILE creates files without a name
_SOCKET = re.compile(r"socket\(AF_(?!UNIX)|sa_family=AF_(?!UNIX)")
# Writable for any program; and the zygote writes to the cgroup of a process before that is confined.
_ALWAYS_WRITABLE = ("/dev/", "/proc/self/", "/sys/fs/cgroup/")


@dataclass
class Outcome:
    """The outcome of a case. `refusal` and `error` have a code and a detail; `seconds` is the planner's best time."""

    seconds: float = 0.0
    cpu: float = 0.0
    planned: Plan | None = None
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


def plan_case(case: Case, source: Path) -> Outcome:
    """Run the planner three times and record its result and best time."""
    outcome, times = Outcome(), []
    for _ in range(3):
        started = time.perf_counter()
        try:
            outcome.planned = plan(source, case.file)
            check_memory_limit(outcome.planned, MEMORY_LIMIT)
        except PlanError as error:
            outcome.refusal = {"code": error.code, "detail": error.message}
        times.append(time.perf_counter() - started)
    outcome.seconds = min(times)
    return outcome


class TracedSandbox:
    """A zygote under strace, which writes what its processes open to `folder`. Renders one trial after the other."""

    def __init__(self, zygote: Zygote, folder: Path) -> None:
        self._zygote, self._folder = zygote, folder
        self._pids: list[int] = []
        self._last = Progress(percent=0, stage="")

    def render(self, trial: Trial) -> None:
        """Render an accepted trial and record its outcome, without what was traced."""
        outcome, work = trial.outcome, self._folder / str(trial.case)
        work.mkdir()
        assert outcome.planned is not None
        digest = hashlib.sha256(trial.source.read_bytes()).hexdigest()
        request = RenderRequest(trial.source, RenderOptions(width=WIDTH), outcome.planned, digest)
        self._last = Progress(percent=0, stage="")

        def run_in_sandbox(job: SandboxJob) -> ProcessOutcome:
            limits = Limits(memory=MEMORY_LIMIT, cpu=trial.case.timeout, wall=trial.case.timeout + WALL_RESERVE)
            ended = run(self._zygote, job, limits, on_progress=self._on_progress)
            outcome.cpu = ended.exit_info.cpu
            return ended

        try:
            rendered = render_sandboxed(run_in_sandbox, request, work)
        except ProcessDied as error:
            outcome.error = {"code": error.death.cause, "detail": explain_death(error, self._last, MEMORY_LIMIT)}
        except BulkheadError as error:
            outcome.error = {"code": error.code, "detail": error.message}
        else:
            outcome.manifest = rendered.manifest.model_dump(mode="json")
        expected = {trial.source, work / "out", work / "tmp"}
        found = [*trial.source.parent.iterdir(), *work.iterdir(), *(work / "tmp").iterdir()]
        # A process that is killed cannot remove its temporary files; the next attempt does.
        outcome.leftovers = [] if outcome.error else [str(path) for path in found if path not in expected]

    def _on_progress(self, progress: Progress) -> None:
        self._last = progress


@contextmanager
def _traced_sandbox(folder: Path, trace: Path) -> Iterator[TracedSandbox]:
    traced = (*TRACER, "-e", CALLS, "-o", str(trace), sys.executable, "-P")
    zygote = Zygote(replace(ZYGOTE, rehearse="", interpreter=traced))
    zygote.start()
    try:
        yield TracedSandbox(zygote, folder)
    finally:
        zygote.close()


def render_trials(trials: Sequence[Trial], folder: Path) -> None:
    """Render the accepted trials in the sandbox, and record the outcome of each and what it opened."""
    folder.mkdir(parents=True)
    trace = folder / "trace"
    with _traced_sandbox(folder, trace) as sandbox:
        for trial in trials:
            sandbox.render(trial)
    _assign_trace(_read_trace(trace), trials, folder)


def _assign_trace(lines: list[str], trials: Sequence[Trial], folder: Path) -> None:
    """Assign each line of the trace to the trial whose source its process has opened, as its first file or later."""
    by_source = {str(trial.source): trial.outcome for trial in trials}
    paths = [(line, _path_in(line)) for line in lines]
    outcomes = {line.partition(" ")[0]: by_source[path] for line, path in paths if path in by_source}
    for line, path in paths:
        outcome = outcomes.get(line.partition(" ")[0])
        if outcome is None:
            continue  # of the zygote, which has no drawing
        if _SOCKET.search(line):
            outcome.sockets.append(line)
        if not path:
            continue
        outcome.opened.append(path)
        is_ignored = path.startswith((str(folder), *_ALWAYS_WRITABLE)) or not path.startswith("/")
        if _CREATES_FILE.search(line) and not _CREATES_NOTHING.search(line) and not is_ignored:
            outcome.created.append(path)


def _path_in(line: str) -> str:
    match = _PATH_IN_CALL.match(line)
    return match[1].encode().decode("unicode_escape") if match else ""


def _read_trace(trace: Path) -> list[str]:
    """Return the trace once it is complete: the tracer outlives the zygote by a moment."""
    deadline = time.monotonic() + TRACER_TIMEOUT
    size = -1
    while size != (size := trace.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return trace.read_text(errors="replace").splitlines()
