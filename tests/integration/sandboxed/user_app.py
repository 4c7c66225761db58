"""The Celery app of a user, which knows nothing of Bulkhead but SandboxedTask. Tests copy it to another directory."""

import ctypes
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery

from workers.sandbox.task import SandboxedProcessInterrupted, SandboxedTask

app = Celery("user_app", broker=os.environ.get("BROKER_URL"), backend="rpc://")

PASSWORD = os.environ.get("PASSWORD")
FILES = os.environ.get("FILES", ".")


def _connect(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)), timeout=1)


def _read(path: str) -> str:
    return Path(path).read_text()


ATTACKS: dict[str, Callable[[str], Any]] = {
    "see its environment": lambda _target: [PASSWORD, dict(os.environ)],
    "read": _read,
    "list": lambda target: list(map(str, Path(target).iterdir())),
    "connect": _connect,
    "execute": lambda target: os.execv(target, [target]),  # noqa: S606 - the attack
}


@app.task(base=SandboxedTask, memory="128M")
def attack(name: str, target: str = "") -> Any:
    """Try to reach something."""
    return ATTACKS[name](target)


@app.task(base=SandboxedTask, memory="128M", cpu=1, idle=1, disk="64M")
def die(how: str) -> None:
    """End in one of several ways."""
    if how == "crash":
        ctypes.string_at(8)
    elif how == "memory":
        held = [bytearray(b"x") * 2**20 for _ in range(512)]
        time.sleep(len(held))
    elif how == "loop":
        while True:
            pass
    elif how == "hang":
        time.sleep(600)
    elif how == "disk":
        while True:
            with Path("large").open("ab") as file:
                file.write(bytes(2**20))


@app.task(
    base=SandboxedTask,
    memory="128M",
    autoretry_for=(SandboxedProcessInterrupted,),
    max_retries=2,
    retry_kwargs={"countdown": 0},
)
def retried() -> None:
    """Wait until somebody kills the process."""
    time.sleep(60)


@app.task(base=SandboxedTask, memory="128M")
def fail() -> None:
    """Raise an error."""
    raise LookupError("no such layer")


@app.task(base=SandboxedTask, memory="128M")
def pid() -> int:
    """The process."""
    return os.getpid()


@app.task(base=SandboxedTask, memory="128M")
def wait() -> None:
    """Keep busy, so that the process is seen."""
    while True:
        time.sleep(0.01)


@app.task(base=SandboxedTask, memory="128M", sources=["path"], sources_in=FILES, outputs=f"{FILES}/out")
def reverse(path: str) -> int:
    """Write the file backwards to the working directory."""
    content = Path(path).read_bytes()
    Path("pages").mkdir()
    Path("pages", "reversed").write_bytes(content[::-1])
    return len(content)


@app.task(base=SandboxedTask, memory="128M", outputs=f"{FILES}/out")
def link(target: str) -> None:
    """Leave a file of somebody else's instead of one of its own."""
    os.link(target, "output")


@app.task(base=SandboxedTask, function="needs_environment:run")
def misconfigured() -> None:
    """A function whose module needs a variable."""


@app.task(
    base=SandboxedTask, command=["php", "-r", "echo strrev($argv[1]);", "{text}"], memory="256M", read=["/etc/php"]
)
def php(text: str) -> Any:
    """A program."""


@app.task(base=SandboxedTask, command=["sh", "-c", "echo damaged >&2; exit 3"], memory="128M")
def program_fails() -> Any:
    """A program that reports an error."""
