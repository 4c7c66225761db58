"""One supervised process. It runs in its own session, so that it can be killed with all of its children.

The kernel kills it when its supervisor dies for any reason (`setpriv --pdeathsig`). A variable in its environment names
the supervisor, so that the next start finds processes that survived nevertheless (`cli.embedded.orphans`).
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

from tasks.errors import ServiceUnavailable

# Seconds between two checks of a process that is starting or stopping.
POLL_INTERVAL = 0.05

# A log longer than this (bytes) is rotated when its process starts; one old log is kept.
LOG_LIMIT = 10 * 1024 * 1024

# Last lines of the log that are printed when its process does not start.
LOG_TAIL = 15

SUPERVISOR_VARIABLE = "BULKHEAD_SUPERVISED_BY"


def supervisor_id(logs: Path) -> str:
    """Identifies the supervisor whose logs are in `logs`."""
    return str(logs.resolve())


class NotInstalled(ServiceUnavailable):
    """A program that the embedded platform needs is not installed."""

    code = "not-installed"
    transient = False

    def __init__(self, program: str, package: str, alternative: str) -> None:
        super().__init__(f"{program} is not installed. Install it with `apt-get install {package}`, or {alternative}.")


def find_program(program: str, package: str, alternative: str) -> str:
    """Absolute path of `program` (a name or a path). Raises NotInstalled."""
    path = shutil.which(program)
    if path is None:
        raise NotInstalled(Path(program).name, package, alternative)
    return path


class StartFailed(ServiceUnavailable):
    """A process exited while it was starting, or was not ready in time."""

    code = "start-failed"

    def __init__(self, name: str, reason: str, log: Path) -> None:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        super().__init__(
            "\n".join([f"{name} did not start: {reason}. The last lines of {log}:", *(f"  {line}" for line in tail)])
        )


class StartCancelled(Exception):
    """A stop was requested while a process was starting."""


@dataclass(frozen=True)
class Program:
    """A command to run, and how to check that it is ready. Times are seconds."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)  # added to ours; may hold secrets, unlike `command`
    directory: Path | None = None
    start_timeout: float = 60
    stop_timeout: float = 15


class Process:
    """The process of a program. It may be started again after it exited."""

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
        """Process id, which is also that of its group and session. Raises RuntimeError before the first start."""
        return self._require_started().pid

    def start(self) -> None:
        """Start the program with its output appended to its log. Does not wait until it is ready."""
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
        """Block until the program is ready. Raises StartFailed, or StartCancelled as soon as `cancelled()` is true."""
        deadline = time.monotonic() + self.program.start_timeout
        while True:
            if (exit_description := self.describe_exit()) is not None:
                raise StartFailed(self.name, exit_description, self.log)
            if self.program.is_ready():
                return
            if cancelled():
                raise StartCancelled(self.name)
            if time.monotonic() > deadline:
                raise StartFailed(self.name, f"it was not ready within {self.program.start_timeout:g} s", self.log)
            time.sleep(POLL_INTERVAL)

    def describe_exit(self) -> str | None:
        """How the process exited, as a clause; None while it is running."""
        child = self._require_started()
        if child.returncode is None:
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self._kill_group_and_reap(child)
        if child.returncode < 0:
            return f"it was killed by {signal.Signals(-child.returncode).name}"
        return f"it ended with exit code {child.returncode}"

    def request_stop(self) -> None:
        """Send SIGTERM to the process, only once: many programs take a second SIGTERM as a request to exit at once."""
        if self.describe_exit() is None and not self._stop_requested:
            os.kill(self.pid, signal.SIGTERM)
            self._stop_requested = True

    def stop(self) -> None:
        """Stop the process with SIGTERM, and after `stop_timeout` kill its whole group with SIGKILL."""
        self.request_stop()
        deadline = time.monotonic() + self.program.stop_timeout
        while self.describe_exit() is None and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
        self.kill()

    def kill(self) -> None:
        """Kill the process and its whole group with SIGKILL."""
        child = self._require_started()
        if child.returncode is None:
            self._kill_group_and_reap(child)

    def _require_started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child

    def _kill_group_and_reap(self, child: subprocess.Popen[bytes]) -> None:
        """Kill the group before its leader is reaped: until then the kernel cannot reuse the number of the group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
