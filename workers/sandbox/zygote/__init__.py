"""The trusted side's handle of a zygote: starts it, sends requests to it, and replaces it when it dies.

    zygote = Zygote(ZygoteOptions(preload=("workers.render.sandboxed.warm_up:warm_up",)))
    zygote.start()                        # before a fork; children of this process share it

Both ends of the control socket stay open here. So requests wait in it while a new zygote starts, and whoever inherited
it need not know.
"""

import json
import os
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
from workers.sandbox.zygote.protocol import Request

# Variables that the zygote gets if they are set. None holds a secret.
PASSED_VARIABLES = (
    *("LANG", "LC_ALL", "TZ", "PATH", "LD_LIBRARY_PATH"),
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FONTCONFIG_FILE", "FONTCONFIG_PATH"),
)


@dataclass(frozen=True, slots=True)
class ZygoteOptions:
    """What a zygote loads, `module` or `module:function`, and which directories its bodies may read in addition.

    `rehearse` is a function that a process calls ahead of its request; without one, none is forked ahead.
    `interpreter` is a command to run instead of Python, such as a profiler with its options, which follows forks. The
    files that it has opened stay open in confined processes, so it is for developers only. `shows_stderr`
    passes the standard error of bodies through. `abi` limits Landlock to an older version and `without` leaves controls
    out: both exist for tests.
    """

    preload: tuple[str, ...] = ()
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
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The zygote's process id; None if it was never started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the zygote, or replace it if it has ended. Does nothing in processes that inherited it."""
        if self._owner != os.getpid():
            return
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()

    def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Send a request. Raises OSError."""
        self.start()
        socket.send_fds(self._requests, [request.encode()], list(descriptors))

    def close(self) -> None:
        """End the zygote and its processes, if this process owns them."""
        process, self._process = self._process, None
        self._requests.close()
        self._control.close()
        if process is not None and self._owner == os.getpid():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        options = self.options
        configuration = {
            "control": self._control.fileno(),
            "preload": options.preload,
            "rehearse": options.rehearse,
            "read": [str(path) for path in options.read],
            "abi": options.abi,
            "without": sorted(options.without),
            "keep_files": bool(options.interpreter),
        }
        interpreter = options.interpreter or (sys.executable, "-P")
        environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        return subprocess.Popen(
            [*interpreter, "-m", "workers.sandbox.zygote.process", json.dumps(configuration)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if options.shows_stderr else subprocess.DEVNULL,
            pass_fds=[self._control.fileno()],
            start_new_session=True,
        )
