"""The hostile cases, and decorators that register them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

TIMEOUT = 20.0  # seconds of processor time


class Expected(Enum):
    """Acceptable ends of a case."""

    REFUSED = "refused from its header"
    DAMAGED = "failed with a clear error, or rendered with a warning about damage"
    CONTAINED = "refused, failed with a clear error, or rendered without opening other files"
    RENDERS = "a valid drawing with unusual content"


# Returns a file's content. Receives the folder of files that must not be opened, to reference them.
MakeBytes: TypeAlias = Callable[[Path], bytes]
# Creates a special file at the given path.
MakeFile: TypeAlias = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile source. `timeout` is its limit of processor time in seconds, lower for cases that run until it."""

    family: str
    name: str
    file: str
    expected: Expected
    make: MakeFile
    timeout: float

    def __str__(self) -> str:
        return f"{self.family}-{self.name}"


CASES: list[Case] = []


def hostile_file(
    family: str, allowed: Expected, suffix: str = "", *, file: str = "", seconds: float = TIMEOUT
) -> Callable[[MakeBytes], MakeBytes]:
    """Register a function that returns a file's content. The file is named `file`, or after the function."""

    def register(content: MakeBytes) -> MakeBytes:
        def make(path: Path, outside: Path) -> None:
            path.write_bytes(content(outside))

        _register(family, content.__name__, file or content.__name__ + (suffix or f".{family}"), allowed, make, seconds)
        return content

    return register


def hostile_files(family: str, allowed: Expected, rows: dict[str, MakeBytes], suffix: str = "") -> None:
    """Register a table of names and functions that return contents."""
    for name, content in rows.items():

        def make(path: Path, outside: Path, content: MakeBytes = content) -> None:
            path.write_bytes(content(outside))

        _register(family, name, name + (suffix or f".{family}"), allowed, make, TIMEOUT)


def special_file(family: str, allowed: Expected, file: str) -> Callable[[MakeFile], MakeFile]:
    """Register a function that creates a special file."""

    def register(make: MakeFile) -> MakeFile:
        _register(family, make.__name__, file, allowed, make, TIMEOUT)
        return make

    return register


def _register(family: str, name: str, file: str, allowed: Expected, make: MakeFile, seconds: float) -> None:
    CASES.append(Case(family, name, file, allowed, make, seconds))
