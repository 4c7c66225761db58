"""The trusted side's handle of a zygote: starts it, sends requests to it, and replaces it when it dies.

    zygote = Zygote(ZygoteOptions(preload=("workers.render.sandboxed.warm_up:warm_up",)))
    zygote.start()                        # before a fork; children of this process share it

Both ends of the control socket stay open here. So requests wait in it while a new zygote starts, and whoever inherited
it need not know. If a zygote cannot start, its owner answers them (`refuse_requests`).
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workers.sandbox.confinement import Control
from workers.sandbox.zygote import protocol
from workers.sandbox.zygote.protocol import Request, Unavailable

# Variables that the zygote gets if they are set. None holds a secret.
PASSED_VARIABLES = (
    *("LANG", "LC_ALL", "TZ", "PATH", "LD_LIBRARY_PATH"),
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FONTCONFIG_FILE", "FONTCONFIG_PATH"),
)

# What the reason of a failed start quotes of the zygote's standard error: bytes, and lines of them.
MAX_ERRORS = 4096
MAX_ERROR_LINES = 3

# Where this package is imported from.
_CODE = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class ZygoteOptions:
    """What a zygote loads, `module` or `module:function`, and which directories its bodies may read in addition.

    A zygote does not start if it cannot load all of `preload`. `functions` (`module:function`) are those that
    `workers.sandbox.function_call` calls; one that cannot be loaded fails when it is called. `import_paths` are
    directories to import from before those of this process. `rehearse` is a function that a process calls ahead of its
    request; without one, none is forked ahead.
    `interpreter` is a command to run instead of Python, such as a profiler with its options, which follows forks. The
    files that it has opened stay open in confined processes, so it is for developers only. `shows_stderr` passes the
    standard error of bodies through. `abi` limits Landlock to an older version, for tests. `without` leaves out
    controls that this system does not have.
    """

    preload: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    import_paths: tuple[Path, ...] = ()
    rehearse: str = ""
    interpreter: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    shows_stderr: bool = False
    abi: int | None = None
    without: frozenset[Control] = frozenset()


class Zygote:
    """A zygote that this process owns or has inherited."""

    def __init__(self, options: ZygoteOptions) -> None:
        self.options = options
        self._requests, self._control = protocol.pair()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._ready = self._errors = -1
        self._is_ready = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The zygote's process id; None if it was never started."""
        return self._process.pid if self._process else None

    @property
    def control(self) -> int:
        """The descriptor that is readable while requests wait for a zygote."""
        return self._control.fileno()

    @property
    def is_ours(self) -> bool:
        """Whether this process created the handle, so that it starts the zygote."""
        return self._owner == os.getpid()

    def start(self) -> None:
        """Start the zygote, or replace it if it has ended. Does nothing in processes that inherited it."""
        if not self.is_ours:
            return
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()

    def start_failure(self) -> str | None:
        """Why the zygote ended before it was ready, a sentence; None if it did not, or is not ours."""
        process = self._process
        if not self.is_ours or process is None or (status := process.poll()) is None or self._was_ready():
            return None
        size = os.fstat(self._errors).st_size
        tail = os.pread(self._errors, MAX_ERRORS, max(0, size - MAX_ERRORS)).decode(errors="replace").splitlines()
        lines = [line.strip() for line in tail if line.strip()][-MAX_ERROR_LINES:]
        ended = f"signal {-status}" if status < 0 else f"exit code {status}"
        said = f": {' '.join(lines).rstrip('.')}" if lines else ""
        return f"The sandbox did not start ({ended}){said}. Correct that, or run `bulkhead doctor`."

    def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Send a request. Raises OSError."""
        self.start()
        socket.send_fds(self._requests, [request.encode()], list(descriptors))

    def refuse_requests(self, reason: str) -> None:
        """Answer every waiting request with `reason`. For the owner, while no zygote runs."""
        while select.select([self._control], [], [], 0)[0]:
            _message, descriptors, _flags, _address = socket.recv_fds(
                self._control, protocol.MAX_MESSAGE, protocol.MAX_DESCRIPTORS
            )
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            with socket.socket(fileno=descriptors[0]) as connection, suppress(OSError):
                connection.send(protocol.encode(Unavailable(reason)))

    def _was_ready(self) -> bool:
        """Whether the zygote has reported that it is ready. If it ended before, its pipe is at its end."""
        with suppress(BlockingIOError):
            self._is_ready = self._is_ready or bool(os.read(self._ready, 1))
        return self._is_ready

    def _close_status(self) -> None:
        for descriptor in (self._ready, self._errors):
            if descriptor >= 0:
                os.close(descriptor)
        self._ready = self._errors = -1
        self._is_ready = False

    def close(self) -> None:
        """End the zygote and its processes, if this process owns them."""
        process, self._process = self._process, None
        self._requests.close()
        self._control.close()
        self._close_status()
        if process is not None and self.is_ours:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._close_status()
        options = self.options
        self._ready, their_ready = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._errors = os.memfd_create("errors")
        configuration = {
            "control": self._control.fileno(),
            "ready": their_ready,
            "shows_stderr": options.shows_stderr,
            "preload": options.preload,
            "functions": options.functions,
            "rehearse": options.rehearse,
            "read": [str(path) for path in options.read],
            "abi": options.abi,
            "without": sorted(options.without),
            "keep_files": bool(options.interpreter),
        }
        interpreter = options.interpreter or (sys.executable, "-P")
        environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        paths = [str(_CODE), *map(str, options.import_paths), *filter(None, sys.path)]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        try:
            return subprocess.Popen(
                [*interpreter, "-m", "workers.sandbox.zygote.process", json.dumps(configuration)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if options.shows_stderr else self._errors,
                pass_fds=[self._control.fileno(), their_ready],
                start_new_session=True,
            )
        finally:
            os.close(their_ready)
