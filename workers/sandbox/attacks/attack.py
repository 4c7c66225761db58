"""An attack: what hostile code in a sandboxed process tries, and what shows that it failed."""

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

# The end of an attack that got through.
ALLOWED = "allowed"

# The end of an attack that needs something that this machine does not have.
NOT_APPLICABLE = "not applicable"


class NotApplicable(Exception):
    """This machine does not have what the attack is after."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What an attack may use, and what it is after.

    `source`, the directory `readable` and the directory `work` belong to its own job. `secret` is a file of somebody
    else. `targets` are files and directories of the platform, by name, and `ports` TCP ports of this host; attacks only
    open these. `unix_socket` is the path of a socket that listens. A secret in the memory of the trusted process begins
    with `canary` and ends in 32 characters with the SHA-256 `canary_digest`. Exhausting attacks stop by themselves
    beyond `memory` and `disk` bytes, `file` bytes of a file, and `seconds`.
    """

    source: Path
    readable: Path
    work: Path
    secret: Path
    targets: Mapping[str, Path] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    unix_socket: Path = Path("/nonexistent")
    canary: str = ""
    canary_digest: str = ""
    memory: int = 0
    disk: int = 0
    file: int = 0
    seconds: float = 0.0

    @property
    def out(self) -> Path:
        """The output directory of the job."""
        return self.work / "out"

    def as_dict(self) -> dict[str, Any]:
        """The scene as JSON."""
        fields = asdict(self)
        paths = {name: str(value) for name, value in fields.items() if isinstance(value, Path)}
        return {**fields, **paths, "targets": {name: str(path) for name, path in self.targets.items()}}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The scene of `as_dict`."""
        paths = {name: Path(fields[name]) for name in ("source", "readable", "work", "secret", "unix_socket")}
        targets = {name: Path(path) for name, path in fields["targets"].items()}
        return cls(**{**fields, **paths, "targets": targets})


Attempt = Callable[[Scene], object]


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    `intent` is a sentence. `control` names what stops it. `ends` are the ends that show that it was stopped: names of
    errors that it gets, causes of death, or codes of failures. An attack that is `alone` needs a process of its own.
    """

    name: str
    intent: str
    control: str
    ends: frozenset[str]
    attempt: Attempt
    alone: bool = False

    def run(self, scene: Scene) -> str:
        """Attack. Returns the name of the error, `allowed` or `not applicable`."""
        try:
            self.attempt(scene)
        except NotApplicable:
            return NOT_APPLICABLE
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
        return ALLOWED


def denied(control: str, rows: Mapping[str, tuple[str, str, Attempt]]) -> tuple[Attack, ...]:
    """Attacks that end in an error: name -> (names of errors, intent, attempt)."""
    return tuple(
        Attack(name, intent, control, frozenset(errors.split()), attempt)
        for name, (errors, intent, attempt) in rows.items()
    )


def fatal(control: str, rows: Mapping[str, tuple[str, str, Attempt]]) -> tuple[Attack, ...]:
    """Attacks that end the job: name -> (causes and codes, intent, attempt)."""
    return tuple(
        Attack(name, intent, control, frozenset(ends.split()), attempt, alone=True)
        for name, (ends, intent, attempt) in rows.items()
    )


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


@cache
def _resolver() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    return library


def call(name: str, *arguments: int) -> int:
    """Make a system call by its name. Raises OSError."""
    number = _resolver().seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        raise NotApplicable(f"{platform.machine()} has no {name}.")
    return call_number(number, *arguments)


def call_number(number: int, *arguments: int) -> int:
    """Make a system call by its number, with 64-bit arguments. Raises OSError."""
    result: int = _libc().syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), "failed")
    return result


def system_call(name: str, *arguments: int) -> Attempt:
    """An attempt that makes one system call."""
    return lambda _scene: call(name, *arguments)


def opening(path: str | Path, flags: int = os.O_RDONLY) -> None:
    """Open and close a file. Raises OSError; NotApplicable if it does not exist."""
    try:
        os.close(os.open(path, flags, 0o600))
    except FileNotFoundError as error:
        raise NotApplicable(str(path)) from error


def listing(directory: str | Path) -> list[Path]:
    """List a directory. Raises OSError; NotApplicable if it does not exist."""
    try:
        return list(Path(directory).iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotApplicable(str(directory)) from error
