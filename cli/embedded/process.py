"""One supervised process: started in a session of its own, told to stop, killed with all it started.

The kernel kills it when its supervisor dies, however that dies (`setpriv --pdeathsig`). Its environment carries a
mark, so that what such a death may leave behind for a moment can be found by the next start (`cli.embedded.orphans`).
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Seconds between two looks at a process that is starting or stopping.
POLL_INTERVAL = 0.05

# A log that is longer than this many bytes is put aside when its process starts (one old log is kept).
LOG_LIMIT = 10 * 1024 * 1024

# Lines of a log shown when its process cannot start.
LOG_TAIL = 15

SUPERVISOR_VARIABLE = "BULKHEAD_SUPERVISED_BY"


def supervisor_id(logs: Path) -> str:
    """What marks the processes of the supervisor whose logs are in `logs`."""
    return str(logs.resolve())


class NotInstalled(RuntimeError):
    """A program that the private platform needs is missing."""

    def __init__(self, program: str, package: str, alternative: str) -> None:
        super().__init__(
            f"{program} is not installed. Run `make packages`, or `apt-get install {package}`, or {alternative}."
        )


def find_program(program: str, package: str, alternative: str) -> str:
    """Absolute path of `program` (a name or a path). Raises NotInstalled."""
    path = shutil.which(program)
    if path is None:
        raise NotInstalled(Path(program).name, package, alternative)
    return path


class StartFailed(RuntimeError):
    """A process ended, or did not answer in time, while it was starting."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        super().__init__(
            "\n".join([f"{name} did not start: {reason}. The end of {log}:", *(f"  {line}" for line in tail)])
        )


class Cancelled(RuntimeError):
    """The user asked to stop while a process was starting."""


@dataclass(frozen=True)
class Program:
    """What to run and how to tell that it works. Times are seconds."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of ours; holds secrets, unlike `command`
    directory: Path | None = None
    start_timeout: float = 60
    stop_timeout: float = 15


class Process:
    """A program's process, which may be started again after it ended."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._stop_requested = False

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def pid(self) -> int:
        """Process id, also of its group and session. Raises RuntimeError before the first start."""
        return self._require_started().pid

    def start(self) -> None:
        """Start the program, its output going to its log. It is not ready yet."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.old"))
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.program.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.program.directory,
                env={**os.environ, **self.program.environment, SUPERVISOR_VARIABLE: supervisor_id(self.log.parent)},
                start_new_session=True,
            )
        self._stop_requested = False

    def wait_ready(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Block until the program works. Raises StartFailed, or Cancelled as soon as `cancelled()`."""
        deadline = time.monotonic() + self.program.start_timeout
        while True:
            if (ended := self.describe_exit()) is not None:
                raise StartFailed(self.name, ended, self.log)
            if self.program.is_ready():
                return
            if cancelled():
                raise Cancelled(self.name)
            if time.monotonic() > deadline:
                raise StartFailed(self.name, f"it was not ready within {self.program.start_timeout:g} s", self.log)
            time.sleep(POLL_INTERVAL)

    def describe_exit(self) -> str | None:
        """How the process ended, in words; None while it runs."""
        child = self._require_started()
        if child.returncode is None:
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self._kill_group_and_reap(child)
        if child.returncode < 0:
            return f"it was killed by {signal.Signals(-child.returncode).name}"
        return f"it ended with exit code {child.returncode}"

    def request_stop(self) -> None:
        """Send SIGTERM to the process, once: many a program takes a second one for impatience."""
        if self.describe_exit() is None and not self._stop_requested:
            os.kill(self.pid, signal.SIGTERM)
            self._stop_requested = True

    def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL to all of its group once `stop_timeout` has passed."""
        self.request_stop()
        deadline = time.monotonic() + self.program.stop_timeout
        while self.describe_exit() is None and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
        self.kill()

    def kill(self) -> None:
        """End the process and all of its group with SIGKILL, at once."""
        child = self._require_started()
        if child.returncode is None:
            self._kill_group_and_reap(child)

    def _require_started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child

    def _kill_group_and_reap(self, child: subprocess.Popen[bytes]) -> None:
        """The group goes before its leader is reaped: until then nobody else can be given the group's number."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
