"""Code that tests run in the sandbox. The zygote loads this module before any process is confined."""

import ctypes
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.errors import JobFailed

Arguments = Mapping[str, Any]
Report = Callable[[Mapping[str, Any]], None]

MIB = 1024**2


class Unwelcome(JobFailed):
    """An error that a body raises on purpose."""

    code = "unwelcome"


def echo(arguments: Arguments, _report: Report) -> dict[str, Any]:
    return dict(arguments)


def return_nothing(_arguments: Arguments, _report: Report) -> None:
    pass


def report_many(arguments: Arguments, report: Report) -> dict[str, Any]:
    for number in range(arguments["count"]):
        report({"percent": number % 101, "stage": "draw", "layer": str(number)})
    return {}


def report_nonsense(_arguments: Arguments, report: Report) -> dict[str, Any]:
    pipe = find_pipe()
    os.write(pipe, b"libfoo: warning\n[1]\n\xff\xfe\n{}\n" + b"x" * 200_000 + b"\n")
    report({"percent": 101, "stage": "draw"})
    report({"percent": 1, "stage": 5})
    report({"percent": 2, "stage": "draw"})
    os.write(pipe, b'{"progress": {"percent": 3, "stage": "dr')
    return {}


def flood(_arguments: Arguments, report: Report) -> dict[str, Any]:
    while True:
        report({"percent": 1, "stage": "x" * 60_000})


def raise_on_purpose(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    raise Unwelcome("The drawing is unwelcome.")


def raise_unexpectedly(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    raise KeyError("x")


def raise_memory_error(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    raise MemoryError("cache")


def return_unserializable(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    return {"value": object()}


def return_too_much(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    return {"value": "x" * 100_000}


def sleep(arguments: Arguments, report: Report) -> dict[str, Any]:
    """Report its process id, then sleep."""
    report({"percent": 0, "stage": str(os.getpid())})
    time.sleep(arguments.get("seconds", 60))
    return {}


def report_and_sleep(_arguments: Arguments, report: Report) -> dict[str, Any]:
    for _ in range(20):
        report({"percent": 1, "stage": "wait"})
        time.sleep(0.05)
    return {}


def close_pipe_and_sleep(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    os.close(find_pipe())
    time.sleep(60)
    return {}


def compute(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    while True:
        pass


def eat_memory(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    blocks = []
    for _ in range(60):
        blocks.append(b"x" * (8 * MIB))
        time.sleep(0.01)
    time.sleep(60)
    return {}


def touch_memory(arguments: Arguments, _report: Report) -> dict[str, Any]:
    block = b"x" * arguments["bytes"]
    time.sleep(0.2)
    del block
    time.sleep(0.2)
    return {}


def abort(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    os.abort()


def crash(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def end_process(arguments: Arguments, _report: Report) -> dict[str, Any]:
    os._exit(arguments["status"])


def write_file(arguments: Arguments, _report: Report) -> dict[str, Any]:
    with Path("large").open("wb") as file:
        file.writelines(b"x" * MIB for _ in range(arguments["bytes"] // MIB))
    return {}


def write_files(arguments: Arguments, _report: Report) -> dict[str, Any]:
    for number in range(arguments["bytes"] // MIB):
        Path(f"file-{number}").write_bytes(b"x" * MIB)
        time.sleep(0.01)
    time.sleep(60)
    return {}


def start_threads(arguments: Arguments, _report: Report) -> dict[str, Any]:
    for _ in range(arguments["count"]):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(arguments["seconds"])
    return {}


def describe_process(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    """What this process has: descriptors with their targets, environment, limits, session."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return {
        "descriptors": descriptors(),
        "environment": dict(os.environ),
        "secret": str(libc.getenv(b"BULKHEAD_SECRET")),
        "session": os.getsid(0) == os.getpid(),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "working_directory": str(Path.cwd()),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "no_new_privileges": libc.prctl(39, 0, 0, 0, 0),
        "parent": os.getppid(),
    }


def read_file(arguments: Arguments, _report: Report) -> dict[str, Any]:
    return {"text": Path(arguments["path"]).read_text()}


def open_socket(_arguments: Arguments, _report: Report) -> dict[str, Any]:
    socket.socket()
    return {}


def ignore_signals(_arguments: Arguments, report: Report) -> dict[str, Any]:
    """Ignore what can be ignored, and compute until the end."""
    for number in (signal.SIGXCPU, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return compute(_arguments, report)


def rehearse() -> None:
    pass


def rehearse_and_raise() -> None:
    raise KeyError("rehearsal")


def descriptors() -> dict[int, str]:
    """The open descriptors of this process with their targets, without that of the list itself."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found[int(path.name)] = str(path.readlink())
    return found


def find_pipe() -> int:
    """The descriptor of the pipe for reports."""
    return next(number for number, target in descriptors().items() if number > 2 and target.startswith("pipe:"))
