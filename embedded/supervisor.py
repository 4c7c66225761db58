"""Keeps a row of programs running: started in order, restarted when they crash, stopped in reverse order."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from embedded.process import Cancelled, Process, Program

_LOG = logging.getLogger(__name__)

# Seconds before a crashed program is started again: doubled with every crash in a row, forgotten after a quiet time.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
QUIET_TIME = 60.0

# Seconds between two looks at the processes.
WATCH_INTERVAL = 0.2


def pause_after(crashes: int) -> float:
    """Seconds to wait before the restart that follows the `crashes`th crash in a row (1 is the first)."""
    return min(FIRST_PAUSE * 2.0 ** (crashes - 1), LONGEST_PAUSE)


@dataclass
class Post:
    """A program's place in the row: its process and how it has fared. Times are of the supervisor's clock."""

    process: Process
    started_at: float = 0.0
    crashes: int = 0
    restart_at: float | None = None


class Supervisor:
    """Runs programs until it is asked to stop, as a context manager:

        with Supervisor(programs, logs) as supervisor:   # everything is ready inside
            supervisor.watch()                           # until ask_to_stop(), say from a signal handler

    `tell` receives one line about whatever happens. Use it from one thread, the main one: the kernel ties the
    processes' lives to the thread that started them.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        logs: Path,
        *,
        tell: Callable[[str], None] = _LOG.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._posts = [Post(Process(program, logs)) for program in programs]
        self._started: list[Post] = []
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
        return {post.process.name: post.process for post in self._posts}[name]

    def start(self) -> None:
        """Start every program, each once the one before it is ready. Raises StartFailed with nothing left running.

        Asked to stop meanwhile, it returns early; `watch` then returns at once.
        """
        try:
            for post in self._posts:
                self._tell(f"starting {post.process.name}")
                self._launch(post)
                self._started.append(post)
                post.process.wait_ready(lambda: self._stopping)
        except Cancelled:
            return
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """Restart what crashes, until asked to stop."""
        while not self._stopping:
            for post in self._started:
                self._look_after(post)
            time.sleep(WATCH_INTERVAL)

    def ask_to_stop(self) -> None:
        """Let `watch` return soon. Safe in a signal handler."""
        self._stopping = True

    def stop(self) -> None:
        """Stop every program in reverse order; nothing is left running afterwards."""
        while self._started:
            post = self._started.pop()
            self._tell(f"stopping {post.process.name}")
            post.process.stop()

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
            self._tell(
                f"{post.process.name} stopped: {ended}. Starting it again in {pause:g} s; see {post.process.log}"
            )
