"""Messages between a trusted process and its zygote, over a socket that preserves message boundaries.

A request is one JSON message with descriptors: the job's own socket, the pipe for reports, the arguments, the working
directory, then the sources. On the job's socket the zygote
answers with a pidfd and, when the process has been reaped, with its end. If the zygote cannot start, its owner answers
with the reason.
"""

import json
import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

# Bytes of a message. Arguments have a descriptor of their own.
MAX_MESSAGE = 64 * 1024
MAX_DESCRIPTORS = 64

# Bytes of the arguments of a body.
MAX_ARGUMENTS = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class Request:
    """Start one process. `entry` is `package.module:function`; `command` replaces it by a program.

    Sizes in bytes, `cpu` in seconds. `memory` is the limit of its leaf cgroup; None leaves it to the supervisor.
    """

    entry: str
    command: tuple[str, ...]
    work: str
    memory: int | None
    cpu: float
    file: int
    niceness: int

    def encode(self) -> bytes:
        """The request as a message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, message: bytes) -> "Request":
        """The request in a message."""
        fields = json.loads(message)
        return cls(**{**fields, "command": tuple(fields["command"])})


@dataclass(frozen=True, slots=True)
class Started:
    """The process has started. `leaf` is the path of its cgroup, if it has one."""

    pid: int
    leaf: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The process has been reaped. `status`: exit code or negative signal; `cpu` in seconds, `peak` in bytes.

    `memory_events` are the counters of its cgroup.
    """

    status: int
    cpu: float
    peak: int
    memory_events: dict[str, int]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No process can be started: `reason` is a sentence."""

    reason: str


Answer = Started | Ended | Unavailable
_ANSWERS = {answer.__name__: answer for answer in (Started, Ended, Unavailable)}


def encode(answer: Answer) -> bytes:
    """An answer as a message."""
    return json.dumps({type(answer).__name__: asdict(answer)}).encode()


def decode(message: bytes) -> Answer:
    """The answer in a message."""
    ((name, fields),) = json.loads(message).items()
    return _ANSWERS[name](**fields)


def read_arguments(descriptor: int) -> Any:
    """The arguments in a memory file."""
    size = os.fstat(descriptor).st_size
    return json.loads(os.pread(descriptor, size, 0))


def arguments_file(arguments: Any) -> int:
    """A memory file with the arguments. Raises ValueError if they are too long or no JSON."""
    content = json.dumps(arguments).encode()
    if len(content) > MAX_ARGUMENTS:
        raise ValueError(f"The arguments have {len(content)} bytes, more than {MAX_ARGUMENTS}.")
    descriptor = os.memfd_create("arguments")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return descriptor


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection that preserves message boundaries."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
