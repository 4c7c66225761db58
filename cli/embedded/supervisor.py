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
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
QUIET_TIME = 60.0

# Seconds between two looks at the processes.
WATCH_INTERVAL = 0.2

# Programs that start together, since none of them needs another one.
Stage = Sequence[Program]


def pause_after(crashes: int) -> float:
    """Seconds to wait before the restart that follows the `crashes`th crash in a row (1 is the first)."""
    return min(FIRST_PAUSE * 2.0 ** (crashes - 1), LONGEST_PAUSE)


@dataclass(slots=True)
class Post:
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
        tell: Callable[[str], None] = _LOG.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stages = [[Post(Process(program, logs)) for program in stage] for stage in stages]
        self._started: list[list[Post]] = []
        self._tell = tell
        self._clock = clock
        self._stopping = False

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
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping

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

    def watch(self) -> None:
        """Restart what crashes, until asked to stop."""
        while not self._stopping:
            self.look_after_all()
            time.sleep(WATCH_INTERVAL)

    def look_after_all(self) -> None:
        """One look at every process: note who has crashed, start again whose pause is over."""
        for stage in self._started:
            for post in stage:
                self._look_after(post)

    def ask_to_stop(self) -> None:
        """Let `watch` return soon. Safe in a signal handler."""
        self._stopping = True

    def stop(self) -> None:
        """Stop every stage in reverse order; nothing is left running afterwards."""
        if self._started:
            self._tell("stopping")
        while self._started:
            stage = self._started.pop()
            for post in stage:
                post.process.ask_to_stop()
            for post in stage:
                post.process.stop()
                self._tell(f"{post.process.name} is stopped")

    def _start_stage(self, stage: list[Post]) -> None:
        launched: list[Post] = []
        self._started.append(launched)
        for post in stage:
            self._launch(post)
            launched.append(post)
        for post in launched:
            post.process.wait_ready(lambda: self._stopping)
            self._tell(f"{post.process.name} is ready after {self._clock() - post.started_at:.1f} s")

    def _launch(self, post: Post) -> None:
        post.process.start()
        post.started_at = self._clock()
        post.restart_at = None

    def _look_after(self, post: Post) -> None:
        now = self._clock()
        if post.restart_at is not None:
            if now >= post.restart_at:
                self._launch(post)
        elif (ended := post.process.ended()) is not None:
            post.crashes = 1 if now - post.started_at > QUIET_TIME else post.crashes + 1
            pause = pause_after(post.crashes)
            post.restart_at = now + pause
            self._tell(f"{post.process.name}: {ended}. Starting it again in {pause:g} s; see {post.process.log}")
