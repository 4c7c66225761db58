"""Keeps programs running: starts them stage by stage, restarts them when they crash, stops them in reverse order."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.embedded.process import Process, Program, StartCancelled
from tasks.utils.retry import Backoff

_LOG = logging.getLogger(__name__)

# Delay before a crashed program is restarted (seconds); a program that ran longer than this starts over.
BACKOFF = Backoff(initial=0.5, maximum=30.0)
BACKOFF_RESET_AFTER = 60.0

# Seconds between two checks of the processes.
WATCH_INTERVAL = 0.2

# Programs that start together because none of them needs another one.
Stage = Sequence[Program]


@dataclass(slots=True)
class SupervisedProcess:
    """A process and its crashes. Times are those of the supervisor's clock."""

    process: Process
    started_at: float = 0.0
    crashes: int = 0
    restart_at: float | None = None


class Supervisor:
    """Runs programs until a stop is requested. It is a context manager:

        with Supervisor(stages, logs) as supervisor:   # everything is ready inside the block
            supervisor.run_until_stopped()             # until request_stop(), for example from a signal handler

    `report` is called with one line for each event. Use the supervisor from the main thread: the kernel ties the lives
    of the processes to the thread that started them.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        logs: Path,
        *,
        report: Callable[[str], None] = _LOG.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stages = [[SupervisedProcess(Process(program, logs)) for program in stage] for stage in stages]
        self._started: list[list[SupervisedProcess]] = []
        self._report = report
        self._clock = clock
        self._is_stopping = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def process(self, name: str) -> Process:
        """The process of the program called `name`. Raises KeyError."""
        return {supervised.process.name: supervised.process for stage in self._stages for supervised in stage}[name]

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._is_stopping

    def start(self) -> None:
        """Start each stage when the one before it is ready. Raises StartFailed, with nothing left running.

        If a stop is requested meanwhile it returns early, and `run_until_stopped` returns at once.
        """
        try:
            for stage in self._stages:
                self._start_stage(stage)
        except StartCancelled:
            for supervised in self._started[-1]:  # a starting program may ignore SIGTERM, and has no work to lose
                supervised.process.kill()
        except BaseException:
            self.stop()
            raise

    def run_until_stopped(self) -> None:
        """Restart programs that crash, until a stop is requested."""
        while not self._is_stopping:
            self.check_all()
            time.sleep(WATCH_INTERVAL)

    def check_all(self) -> None:
        """Check every process once: schedule restarts of crashed ones, and restart those whose delay is over."""
        for stage in self._started:
            for supervised in stage:
                self._check(supervised)

    def request_stop(self) -> None:
        """Make `run_until_stopped` return soon. Safe in a signal handler."""
        self._is_stopping = True

    def stop(self) -> None:
        """Stop the stages in reverse order. Nothing is left running afterwards."""
        if self._started:
            self._report("stopping")
        while self._started:
            stage = self._started.pop()
            for supervised in stage:
                supervised.process.request_stop()
            for supervised in stage:
                supervised.process.stop()
                self._report(f"{supervised.process.name} stopped")

    def _start_stage(self, stage: list[SupervisedProcess]) -> None:
        launched: list[SupervisedProcess] = []
        self._started.append(launched)
        for supervised in stage:
            self._launch(supervised)
            launched.append(supervised)
        for supervised in launched:
            supervised.process.wait_ready(lambda: self._is_stopping)
            self._report(f"{supervised.process.name} is ready after {self._clock() - supervised.started_at:.1f} s")

    def _launch(self, supervised: SupervisedProcess) -> None:
        supervised.process.start()
        supervised.started_at = self._clock()
        supervised.restart_at = None

    def _check(self, supervised: SupervisedProcess) -> None:
        now = self._clock()
        if supervised.restart_at is not None:
            if now >= supervised.restart_at:
                self._launch(supervised)
        elif (exit_description := supervised.process.describe_exit()) is not None:
            supervised.crashes = 1 if now - supervised.started_at > BACKOFF_RESET_AFTER else supervised.crashes + 1
            delay = BACKOFF.delay(supervised.crashes)
            supervised.restart_at = now + delay
            process = supervised.process
            self._report(f"{process.name}: {exit_description}. Restarting it in {delay:g} s; see {process.log}")
