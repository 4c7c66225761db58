"""`python -m workers.sandbox.zygote.process CONFIGURATION`: forks a confined process for each request.

It is exec'ed with an environment without secrets, imports the code that bodies need, and starts no thread, which a fork
would lose. CONFIGURATION is JSON; `workers.sandbox.zygote` writes it.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tasks.utils.parent_death import die_with_parent
from workers.sandbox import function_call
from workers.sandbox.confinement import Confinement, Control, prepare
from workers.sandbox.leaf_cgroup import Cgroup, create_leaf
from workers.sandbox.zygote.body import run_body
from workers.sandbox.zygote.protocol import MAX_DESCRIPTORS, MAX_MESSAGE, Ended, Request, Started, encode, pair

# Seconds of rest after which the spare is not worth its memory, some 25 MiB.
SPARE_RETENTION = 60.0


@dataclass(frozen=True, slots=True)
class _Running:
    """A process that has not been reaped. `connection` leads to its supervisor or, of a spare, to the process."""

    pid: int
    pidfd: int
    leaf: Cgroup | None
    connection: socket.socket


class Zygote:
    """Accepts requests on `control` until its peer is gone.

    One process is forked ahead of its request, as a spare: what a process has to do before its first drawing is then
    not part of the time that a job takes.
    """

    def __init__(
        self,
        control: socket.socket,
        confinement: Confinement,
        without: frozenset[Control],
        rehearse: Callable[[], None] | None,
    ) -> None:
        self._control, self._confinement, self._without, self._rehearse = control, confinement, without, rehearse
        self._spare: _Running | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        """Serve until the other end of the control socket is closed everywhere."""
        self._prepare_spare()
        while True:
            ready = self._selector.select(SPARE_RETENTION if self._spare is not None else None)
            for key, _events in ready:
                act: Callable[[], None] = key.data
                act()
            if not ready:
                self._retire_spare()

    def _accept(self) -> None:
        message, descriptors, _flags, _address = socket.recv_fds(self._control, MAX_MESSAGE, MAX_DESCRIPTORS)
        if not message:
            raise SystemExit(0)  # the kernel kills the children
        connection, others = socket.socket(fileno=descriptors[0]), descriptors[1:]
        try:
            child = self._hand_over(message, others, connection) or self._fork(message, others, connection)
        finally:
            for descriptor in others:
                os.close(descriptor)
        self._supervise(child)
        self._prepare_spare()

    def _fork(self, message: bytes, descriptors: list[int], connection: socket.socket) -> _Running:
        """Start a process for a request."""
        leaf = create_leaf()
        pid = os.fork()
        if pid == 0:
            self._run(message, descriptors, leaf, is_in_leaf=False)
        return _Running(pid, os.pidfd_open(pid), leaf, connection)

    def _run(self, message: bytes, descriptors: list[int], leaf: Cgroup | None, *, is_in_leaf: bool) -> NoReturn:
        """Run a request in this process."""
        try:
            if leaf is not None and not is_in_leaf:
                leaf.join()
            run_body(Request.decode(message), descriptors, leaf, self._confinement, self._without)
        finally:
            os._exit(1)

    def _prepare_spare(self) -> None:
        if self._spare is not None or self._rehearse is None:
            return
        (ours, theirs), leaf = pair(), create_leaf()
        pid = os.fork()
        if pid == 0:
            self._wait_as_spare(theirs, leaf, self._rehearse)
        theirs.close()
        spare = self._spare = _Running(pid, os.pidfd_open(pid), leaf, ours)
        self._selector.register(spare.pidfd, selectors.EVENT_READ, lambda: self._drop_spare(spare))

    def _wait_as_spare(self, connection: socket.socket, leaf: Cgroup | None, rehearse: Callable[[], None]) -> NoReturn:
        try:
            die_with_parent()
            if leaf is not None:
                leaf.join()
            attempt(rehearse, "rehearse")
            gc.freeze()
            message, descriptors, _flags, _address = socket.recv_fds(connection, MAX_MESSAGE, MAX_DESCRIPTORS)
            if message:
                self._run(message, descriptors, leaf, is_in_leaf=True)
        finally:
            os._exit(1)

    def _hand_over(self, message: bytes, descriptors: list[int], connection: socket.socket) -> _Running | None:
        """Give a request to the spare. None if there is no spare."""
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        self._selector.unregister(spare.pidfd)
        with spare.connection:
            try:
                socket.send_fds(spare.connection, [message], descriptors)
            except OSError:  # it has died
                _bury(spare)
                return None
        return replace(spare, connection=connection)

    def _retire_spare(self) -> None:
        """End the spare of a worker at rest. The next request gets a new process and leaves a spare behind."""
        if self._spare is not None:
            os.kill(self._spare.pid, signal.SIGKILL)
            self._drop_spare(self._spare)

    def _drop_spare(self, spare: _Running) -> None:
        """The spare has died. The next one is made with a request, so that a fault cannot repeat itself for ever."""
        if self._spare is not spare:
            return  # it has received a request since `select`
        self._spare = None
        self._selector.unregister(spare.pidfd)
        spare.connection.close()
        _bury(spare)

    def _supervise(self, child: _Running) -> None:
        def end() -> None:
            self._reap(child)

        def kill() -> None:
            """Its supervisor has closed the connection."""
            if child.connection.fileno() < 0:
                return  # it has been reaped since `select`
            self._selector.unregister(child.connection)
            os.kill(child.pid, signal.SIGKILL)

        self._selector.register(child.pidfd, selectors.EVENT_READ, end)
        self._selector.register(child.connection, selectors.EVENT_READ, kill)
        with suppress(OSError):
            leaf = str(child.leaf.path) if child.leaf else None
            socket.send_fds(child.connection, [encode(Started(child.pid, leaf))], [child.pidfd])

    def _reap(self, child: _Running) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # processes that a helper program left behind
        _pid, status, usage = os.wait4(child.pid, 0)
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        with suppress(KeyError):
            self._selector.unregister(child.connection)
        ended = Ended(
            status=os.waitstatus_to_exitcode(status),
            cpu=usage.ru_utime + usage.ru_stime,
            peak=usage.ru_maxrss * 1024,
            memory_events=child.leaf.events() if child.leaf else {},
        )
        with child.connection, suppress(OSError):
            child.connection.send(encode(ended))
        _remove(child.leaf)


def _bury(spare: _Running) -> None:
    """Reap a spare that has died, and remove its cgroup."""
    os.waitpid(spare.pid, 0)
    os.close(spare.pidfd)
    _remove(spare.leaf)


def _remove(leaf: Cgroup | None) -> None:
    if leaf is not None:
        with suppress(OSError):  # an empty cgroup does no harm
            leaf.remove()


def load(name: str) -> Callable[[], None]:
    """Import `module` or `module:function`; returns the function. Raises ImportError, AttributeError."""
    module, _, function = name.partition(":")
    loaded = import_module(module)
    return getattr(loaded, function) if function else lambda: None


def preload(names: list[str]) -> None:
    """Import modules and call functions, named `module` or `module:function`. Ends this process if one fails."""
    for name in names:
        try:
            load(name)()
        except Exception as error:
            raise SystemExit(f"The zygote could not load {name}: {type(error).__name__}: {error}.") from error


def report_ready(ready: int, *, shows_stderr: bool) -> None:
    """Tell the owner that this process serves requests. Bodies must not write to the owner's record of errors."""
    sys.stderr.flush()
    if not shows_stderr:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        os.close(null)
    os.write(ready, b"1")
    os.close(ready)


def attempt(function: Callable[[], None], what: str) -> None:
    """Call a function. Its error is reported, because bodies may work without it."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - whatever a module of a user's raises
        print(f"The zygote could not {what}: {type(error).__name__}: {error}", file=sys.stderr)


def main(configuration: dict[str, Any]) -> NoReturn:
    """Prepare this process and serve. It ends when all processes that could send requests have ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=configuration["control"])
    without = frozenset(Control(name) for name in configuration["without"])
    preload(configuration["preload"])
    function_call.preload(configuration["functions"])
    confinement = prepare([Path(path) for path in configuration["read"]], abi=configuration["abi"], without=without)
    confinement = replace(confinement, keeps_files=configuration["keep_files"])
    threads = len(list(Path("/proc/self/task").iterdir()))  # libraries start some that Python does not know
    if threads != 1 and not configuration["keep_files"]:  # a profiler starts its own again after a fork
        raise SystemExit("The zygote has more than one thread, which a fork would lose.")
    gc.collect()
    gc.freeze()  # a collection in a child would copy all pages that it shares with this process
    rehearse = load(configuration["rehearse"]) if configuration["rehearse"] else None
    report_ready(configuration["ready"], shows_stderr=configuration["shows_stderr"])
    Zygote(control, confinement, without, rehearse).serve()
    sys.exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
