"""What a hostile case is, and the table that the families fill."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

TIMEOUT = 20.0  # that the fence gives a child


class Expected(Enum):
    """How a case may end."""

    REFUSED = "refused from its header"
    DAMAGED = "ended with a clear error, or drawn with a warning that it is damaged"
    CONTAINED = "refused, ended with a clear error, or rendered without touching the outside"
    RENDERS = "a good drawing that only looks odd"


# Makes a file's bytes. Gets the folder of files that nothing may open; references in the drawing point there.
MakeBytes: TypeAlias = Callable[[Path], bytes]
# Makes what is no ordinary file, at the path given.
MakeFile: TypeAlias = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile source. `seconds` is how long the fence lets its child run; less for what only the
    fence can end."""

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
    """Enter a function that gives a file's bytes; the file is called `file`, or by the function and `suffix`."""

    def enter(content: MakeBytes) -> MakeBytes:
        def make(path: Path, outside: Path) -> None:
            path.write_bytes(content(outside))

        _register(family, content.__name__, file or content.__name__ + (suffix or f".{family}"), allowed, make, seconds)
        return content

    return enter


def hostile_files(family: str, allowed: Expected, rows: dict[str, MakeBytes], suffix: str = "") -> None:
    """Enter a whole table of names and contents."""
    for name, content in rows.items():
        made = content

        def make(path: Path, outside: Path, made: MakeBytes = made) -> None:
            path.write_bytes(made(outside))

        _register(family, name, name + (suffix or f".{family}"), allowed, make, TIMEOUT)


def special_file(family: str, allowed: Expected, file: str) -> Callable[[MakeFile], MakeFile]:
    """Enter a function that makes something else than a plain file."""

    def enter(make: MakeFile) -> MakeFile:
        _register(family, make.__name__, file, allowed, make, TIMEOUT)
        return make

    return enter


def _register(family: str, name: str, file: str, allowed: Expected, make: MakeFile, seconds: float) -> None:
    CASES.append(Case(family, name, file, allowed, make, seconds))
