"""Keeps programs running: started stage by stage, restarted when they crash, stopped in reverse order."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.embedded.process import Cancelled, Process, Program

_LOG = logging.getLogger(__name__)

# Seconds before a crashed program is started again: doubled with every crash in a row, forgotten after a quiet time.
INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 30.0
BACKOFF_RESET_AFTER = 60.0

# Seconds between two looks at the processes.
WATCH_INTERVAL = 0.2

# Programs that start together, since none of them needs another one.
Stage = Sequence[Program]


def restart_delay(crashes: int) -> float:
    """Seconds to wait before the restart that follows the `crashes`th crash in a row (1 is the first)."""
    return min(INITIAL_BACKOFF * 2.0 ** (crashes - 1), MAX_BACKOFF)


@dataclass(slots=True)
class SupervisedProcess:
    """A program's place: its process and how it has fared. Times are of the supervisor's clock."""

    process: Process
    started_at: float = 0.0
    crashes: int = 0
    restart_at: float | None = None


class Supervisor:
    """Runs programs until it is asked to stop, as a context manager:

        with Supervisor(stages, logs) as supervisor:   # everything is ready inside
            supervisor.watch()                         # until ask_to_stop(), say from a signal handler

    `tell` receives one line about whatever happens. Use it from the main thread: the kernel ties the processes' lives
    to the thread that started them.
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
        return {post.process.name: post.process for stage in self._stages for post in stage}[name]

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._is_stopping

    def start(self) -> None:
        """Start every stage, each once the one before it is ready. Raises StartFailed with nothing left running.

        Asked to stop meanwhile, it returns early; `watch` then returns at once.
        """
        try:
            for stage in self._stages:
                self._start_stage(stage)
        except Cancelled:
            for post in self._started[-1]:  # a program that is starting may be deaf to SIGTERM, and has nothing to lose
                post.process.kill()
        except BaseException:
            self.stop()
            raise

    def run_until_stopped(self) -> None:
        """Restart what crashes, until asked to stop."""
        while not self._is_stopping:
            self.check_all()
            time.sleep(WATCH_INTERVAL)

    def check_all(self) -> None:
        """One look at every process: note who has crashed, start again whose pause is over."""
        for stage in self._started:
            for post in stage:
                self._check(post)

    def request_stop(self) -> None:
        """Let `watch` return soon. Safe in a signal handler."""
        self._is_stopping = True

    def stop(self) -> None:
        """Stop every stage in reverse order; nothing is left running afterwards."""
        if self._started:
            self._report("stopping")
        while self._started:
            stage = self._started.pop()
            for post in stage:
                post.process.request_stop()
            for post in stage:
                post.process.stop()
                self._report(f"{post.process.name} is stopped")

    def _start_stage(self, stage: list[SupervisedProcess]) -> None:
        launched: list[SupervisedProcess] = []
        self._started.append(launched)
        for post in stage:
            self._launch(post)
            launched.append(post)
        for post in launched:
            post.process.wait_ready(lambda: self._is_stopping)
            self._report(f"{post.process.name} is ready after {self._clock() - post.started_at:.1f} s")

    def _launch(self, post: SupervisedProcess) -> None:
        post.process.start()
        post.started_at = self._clock()
        post.restart_at = None

    def _check(self, post: SupervisedProcess) -> None:
        now = self._clock()
        if post.restart_at is not None:
            if now >= post.restart_at:
                self._launch(post)
        elif (ended := post.process.describe_exit()) is not None:
            post.crashes = 1 if now - post.started_at > BACKOFF_RESET_AFTER else post.crashes + 1
            pause = restart_delay(post.crashes)
            post.restart_at = now + pause
            self._report(f"{post.process.name}: {ended}. Starting it again in {pause:g} s; see {post.process.log}")
