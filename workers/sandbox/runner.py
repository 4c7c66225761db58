"""Run code in the sandbox: in a process of its own that can reach nothing, and whose end is explained.

    outcome = run(zygote, SandboxJob("package.module:body", {"width": 64}, work=folder), limits)

`package.module:body` is called with the arguments and with a function that reports progress; what it returns is the
outcome's result. The kernel enforces the memory limit where a leaf cgroup can be created; elsewhere this process polls
the resident set. RLIMIT_AS is no option: it limits addresses, and libvips and thread stacks reserve gigabytes of those.
"""

import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.errors import JobFailed
from workers.sandbox.causes import Death, classify_confined
from workers.sandbox.cgroup import oom_kills
from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.leaf_cgroup import Cgroup
from workers.sandbox.reports import MAX_TOTAL_BYTES, Failure, Line, LineReader, Progress
from workers.sandbox.supervised import DirectoryMeter, kill, measure, measure_session
from workers.sandbox.watch import INTERVAL, Limits, Measurement, Watch, time_limit_death
from workers.sandbox.zygote import Zygote, protocol
from workers.sandbox.zygote.body import FAILED, TEMPORARY
from workers.sandbox.zygote.protocol import Ended, Request, Started, Unavailable

# Seconds in which a zygote must fork. It takes milliseconds, or two seconds if it has to start first.
START_TIMEOUT = 60.0

_READ_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True)
class SandboxJob:
    """Code to run: `entry` is `package.module:function`, or `command` is a program with its arguments.

    `work` is an existing directory, the only one that it can write to; `sources` are files that it can read.
    """

    entry: str
    arguments: Mapping[str, Any]
    work: Path
    sources: tuple[Path, ...] = ()
    command: tuple[str, ...] = ()
    niceness: int = 0


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a process ended. `status` is its exit code, or the negative number of the signal that ended it.

    `death` explains every end but that of a body that returned or reported its failure. `seconds` of wall-clock and
    `cpu` seconds of processor time; `resident` is the last known resident set and `peak` the largest, in bytes.
    `memory_events` are the counters of its leaf cgroup.
    """

    status: int
    death: Death | None
    seconds: float
    cpu: float
    resident: int
    peak: int
    memory_events: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a process, and the result or the failure that it reported. A dead process has neither.

    `has_progress` tells whether it reported any progress.
    """

    exit_info: ExitInfo
    result: dict[str, Any] | None
    failure: Failure | None
    has_progress: bool = False

    def raise_if_dead(self) -> None:
        """Raise ProcessDied if the process died."""
        if self.exit_info.death is not None:
            raise ProcessDied(self.exit_info, self.exit_info.death)

    def value(self) -> dict[str, Any]:
        """The result of the body. Raises ProcessDied if its process died, BodyFailed if it reported a failure."""
        self.raise_if_dead()
        if self.failure is not None:
            raise BodyFailed(self.failure)
        return self.result or {}


class ProcessDied(JobFailed):
    """The sandboxed process died."""

    code = "died"

    def __init__(self, exit_info: ExitInfo, death: Death) -> None:
        super().__init__(death.explanation)
        self.exit_info, self.death = exit_info, death


class BodyFailed(JobFailed):
    """The body raised an error. `code` names it; `traceback` is empty if the body raised it on purpose."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code
        self.traceback = failure.traceback


OnProgress = Callable[[Progress], None]
OnMeasure = Callable[[Measurement], None]


def run(
    zygote: Zygote,
    job: SandboxJob,
    limits: Limits,
    *,
    on_progress: OnProgress = lambda _progress: None,
    on_measure: OnMeasure = lambda _measurement: None,
    uses_cgroup: bool = True,
) -> Outcome:
    """Run `job` within `limits`. The process is gone when this returns or raises.

    Without `uses_cgroup`, and where no leaf cgroup can be created, this process enforces the memory limit.
    Raises SandboxUnavailable or OSError if it cannot be started, and whatever the callbacks raise.
    """
    (job.work / TEMPORARY).mkdir(exist_ok=True)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in protocol.pair())
        pipe, their_pipe = os.pipe()
        stack.callback(os.close, pipe)
        supervisor = _Supervisor(zygote, job, limits, uses_cgroup, ours, pipe, on_progress, on_measure)
        with ExitStack() as sent:
            sent.enter_context(theirs)
            sent.callback(os.close, their_pipe)
            descriptors = [theirs.fileno(), their_pipe, *_open_files(sent, job)]
            request = Request(
                entry=job.entry,
                command=job.command,
                work=str(job.work.resolve()),
                memory=limits.memory if uses_cgroup else None,
                cpu=limits.cpu,
                file=limits.file,
                niceness=job.niceness,
            )
            zygote.send(request, descriptors)
        try:
            return supervisor.wait()
        finally:
            supervisor.kill()


def _open_files(stack: ExitStack, job: SandboxJob) -> list[int]:
    """The descriptors of a request after the socket and the pipe; the stack closes them."""
    descriptors: list[int] = []

    def add(descriptor: int) -> None:
        stack.callback(os.close, descriptor)
        descriptors.append(descriptor)

    add(protocol.arguments_file(job.arguments))
    add(os.open(job.work, os.O_RDONLY | os.O_DIRECTORY))
    for source in job.sources:
        add(os.open(source, os.O_RDONLY))
    return descriptors


class _Supervisor:
    """Watches one process until it has ended."""

    def __init__(
        self,
        zygote: Zygote,
        job: SandboxJob,
        limits: Limits,
        uses_cgroup: bool,
        connection: socket.socket,
        pipe: int,
        on_progress: OnProgress,
        on_measure: OnMeasure,
    ) -> None:
        self._zygote, self._job, self._limits, self._uses_cgroup = zygote, job, limits, uses_cgroup
        self._leaf: Cgroup | None = None
        self._connection, self._pipe = connection, pipe
        self._on_progress, self._on_measure = on_progress, on_measure
        self._started_at = time.monotonic()
        self._watch = Watch(limits, MAX_TOTAL_BYTES, self._started_at)
        self._lines = LineReader()
        self._result: dict[str, Any] | None = None
        self._failure: Failure | None = None
        self._stopped: Death | None = None
        self._pid: int | None = None
        self._pidfd = -1
        self._ended: Ended | None = None
        self._is_open = True
        self._has_progress = False
        self._resident = self._peak = 0
        self._cpu = 0.0
        self._directory = DirectoryMeter(job.work)
        self._oom_kills_before = oom_kills()

    def wait(self) -> Outcome:
        """Wait for the end. Raises SandboxUnavailable if the process is not started in time."""
        os.set_blocking(self._pipe, False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ, self._read_reports)
            selector.register(self._connection, selectors.EVENT_READ, self._read_answer)
            measured_at = self._started_at
            while self._is_open:
                for key, _events in selector.select(INTERVAL):
                    if not key.data():
                        selector.unregister(key.fileobj)
                if time.monotonic() - measured_at >= INTERVAL:
                    self._check()
                    measured_at = time.monotonic()
        while self._read_reports():
            pass
        return Outcome(self._exit_info(), self._result, self._failure, self._has_progress)

    def kill(self) -> None:
        """End the process if it still runs, and wait until it is gone."""
        if self._pidfd >= 0 and self._pid is not None:
            self._send_kill()
            select.select([self._pidfd], [], [])
            os.close(self._pidfd)
            self._pidfd = -1
            if self._ended is None:  # the zygote, which kills the processes of a program, may be dead
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._pid, signal.SIGKILL)
        if self._leaf is not None and self._ended is None:
            with suppress(OSError):  # an empty cgroup does no harm
                self._leaf.remove()

    def _read_answer(self) -> bool:
        message, descriptors, _flags, _address = socket.recv_fds(self._connection, protocol.MAX_MESSAGE, 1)
        if not message:
            self._is_open = False
            return False
        answer = protocol.decode(message)
        if isinstance(answer, Unavailable):
            raise SandboxUnavailable(answer.reason)
        if isinstance(answer, Started):
            self._pid, self._pidfd = answer.pid, descriptors[0]
            self._leaf = Cgroup(Path(answer.leaf)) if answer.leaf else None
        else:
            self._ended, self._is_open = answer, False
        return self._is_open

    def _read_reports(self) -> bool:
        """Read what is in the pipe. False at its end."""
        try:
            received = os.read(self._pipe, _READ_SIZE)
        except BlockingIOError:
            return False
        for line in self._lines.feed(received):
            self._on_line(line)
        return bool(received)

    def _on_line(self, line: Line) -> None:
        if line.progress is not None:
            self._has_progress = True
            self._on_progress(line.progress)
        elif line.result is not None:
            self._result = line.result
        elif line.failure is not None:
            self._failure = line.failure

    def _check(self) -> None:
        now = time.monotonic()
        if self._pid is None:
            self._check_start(now)
            return
        seen = measure_session(self._pid) if self._job.command else measure(self._pid)
        if seen is None:
            return
        self._resident, self._peak, self._cpu = seen.resident, max(self._peak, seen.peak), seen.cpu
        measurement = Measurement(
            at=now,
            resident=seen.resident,
            cpu=seen.cpu,
            threads=seen.threads,
            is_waiting=seen.is_waiting,
            has_memory_limit=self._leaf is not None and self._uses_cgroup,
            # Not the directory alone: files that are open can be removed from it. Reports are written as well.
            disk=max(seen.written - self._lines.total, self._directory.measure()),
            reported_bytes=self._lines.total,
        )
        self._on_measure(measurement)
        if self._stopped is None and (reason := self._watch.stop_reason(measurement)):
            self._stopped = reason
            self._send_kill()

    def _check_start(self, now: float) -> None:
        if reason := self._zygote.start_failure():
            self._zygote.refuse_requests(reason)  # none of them must wait for a later zygote
            raise SandboxUnavailable(reason)
        self._zygote.start()  # if it was killed with the request unread
        if now - self._started_at > START_TIMEOUT:
            started = f"did not start a process within {START_TIMEOUT:g} s"
            raise SandboxUnavailable(f"The sandbox {started}. Repeat it when the machine is less busy.")

    def _send_kill(self) -> None:
        with suppress(ProcessLookupError):
            kill(self._pidfd)

    def _exit_info(self) -> ExitInfo:
        # Without an answer the zygote died, and its processes with it.
        ended = self._ended or Ended(-signal.SIGKILL, self._cpu, self._peak, self._memory_events())
        events = ended.memory_events
        seconds = time.monotonic() - self._started_at
        death = self._stopped or self._death(ended, events, seconds)
        return ExitInfo(
            status=ended.status,
            death=death,
            seconds=seconds,
            cpu=ended.cpu,
            resident=self._resident or ended.peak,
            peak=max(self._peak, ended.peak),
            memory_events=events,
        )

    def _memory_events(self) -> dict[str, int]:
        try:
            return self._leaf.events() if self._leaf is not None else {}
        except OSError:
            return {}

    def _death(self, ended: Ended, events: Mapping[str, int], seconds: float) -> Death | None:
        if ended.status == 0 or (ended.status == FAILED and self._failure is not None):
            return None
        kills = events.get("oom_kill", 0) or oom_kills() - self._oom_kills_before
        # The kernel sends SIGXCPU at the limit and, if that is ignored, SIGKILL.
        killed_at_limit = ended.status == -signal.SIGKILL and not kills and ended.cpu >= self._limits.cpu
        if killed_at_limit or ended.status == -signal.SIGXCPU:
            return time_limit_death(self._limits.cpu, seconds)
        return classify_confined(ended.status, oom_kills=kills)
