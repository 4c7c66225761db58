"""What a process does between the zygote's fork and its end: it confines itself, runs the body, and reports.

It never returns to the zygote's code.
"""

import os
import resource
import signal
import stat
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import Any, NoReturn

from tasks.errors import BulkheadError
from workers.sandbox.confinement import Confinement, Control
from workers.sandbox.confinement.limits import ProcessLimits
from workers.sandbox.leaf_cgroup import Cgroup
from workers.sandbox.reports import MAX_TEXT_LENGTH, MAX_TRACEBACK_LENGTH, encode
from workers.sandbox.zygote.protocol import Request, read_arguments

# Exit codes: the body returned, it reported a failure.
DONE, FAILED = 0, 1

# The directory for temporary files, in the working directory.
TEMPORARY = "tmp"


def run_body(
    request: Request,
    descriptors: Sequence[int],
    leaf: Cgroup | None,
    confinement: Confinement,
    without: frozenset[Control],
) -> NoReturn:
    """Run one request in this process, which the zygote has forked. `descriptors` are as in the protocol.

    The process is in its cgroup `leaf` already.
    """
    pipe, arguments, work, *rest = descriptors
    code = FAILED
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
        os.setsid()
        if leaf is not None and request.memory is not None:
            leaf.set_limit(request.memory)
        os.fchdir(work)
        tempfile.tempdir = str(Path(request.work, TEMPORARY))
        os.environ["TMPDIR"] = tempfile.tempdir
        parsed = read_arguments(arguments)
        os.close(arguments)  # a memory file, in which memory could be hidden from the watch
        limits = ProcessLimits(request.niceness, file_size=request.file, cpu_time=ceil(request.cpu) + 1)
        files = _open_files() - set(descriptors) if confinement.keeps_files else set()
        _close_others({0, 1, 2, pipe, work, *rest, *confinement.descriptors, *files})
        confinement.enter(sources=rest, work=work, execute=bool(request.command), limits=limits, without=without)
        if request.command:
            environment = {"TMPDIR": tempfile.tempdir, "LANG": "C.UTF-8"}
            os.execve(request.command[0], request.command, environment)  # noqa: S606 - the setting of an operator
        code = _call(request.entry, parsed, pipe)
    except BaseException as error:  # noqa: BLE001 - it must not reach the code of the zygote
        _report_failure(pipe, "internal-error", f"The sandbox failed with {type(error).__name__}: {error}", error)
    finally:
        os._exit(code)


def _call(entry: str, arguments: Mapping[str, Any], pipe: int) -> int:
    """Call the body and report its result. Returns the exit code."""

    def report(fields: Mapping[str, Any]) -> None:
        os.write(pipe, encode(progress=fields))

    module, _, name = entry.partition(":")
    try:
        result = getattr(import_module(module), name)(arguments, report)
        os.write(pipe, encode(result=result or {}))
    except BulkheadError as error:
        _report_failure(pipe, error.code, error.message)
        return FAILED
    except MemoryError as error:
        _report_failure(pipe, "out-of-memory", str(error) or "MemoryError")
        return FAILED
    except BaseException as error:  # noqa: BLE001 - whatever native code or a user's code raises
        _report_failure(pipe, "internal-error", f"It failed with an unexpected {type(error).__name__}.", error)
        return FAILED
    return DONE


def _report_failure(pipe: int, code: str, message: str, unexpected: BaseException | None = None) -> None:
    text = "".join(traceback.format_exception(unexpected)) if unexpected is not None else ""
    if text:
        sys.stderr.write(text)
    fields = {"code": code, "message": message[:MAX_TEXT_LENGTH], "traceback": text[-MAX_TRACEBACK_LENGTH:]}
    with suppress(OSError, ValueError):
        os.write(pipe, encode(failure=fields))


def _open_files() -> set[int]:
    """The descriptors of regular files: not the zygote's socket, which is what must be closed."""
    found = set()
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # the directory's own one is closed
            if stat.S_ISREG(os.fstat(int(entry.name)).st_mode):
                found.add(int(entry.name))
    return found


def _close_others(kept: set[int]) -> None:
    """Close all descriptors but these, above all the zygote's socket."""
    low = 0
    for descriptor in sorted(kept):
        if low < descriptor:  # an empty range would close everything
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
