"""What a hostile case is, and the table that the families fill."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

SECONDS = 20.0  # that the fence gives a child


class Allowed(Enum):
    """How a case may end."""

    REFUSED = "refused from its header"
    FAILS = "ended with a clear error, or drawn with a warning that it is damaged"
    CONTAINED = "refused, ended with a clear error, or rendered without touching the outside"
    RENDERS = "a good drawing that only looks odd"


# Makes a file's bytes. Gets the folder of files that nothing may open; references in the drawing point there.
Bytes: TypeAlias = Callable[[Path], bytes]
# Makes what is no ordinary file, at the path given.
Thing: TypeAlias = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile source. `seconds` is how long the fence lets its child run; less for what only the
    fence can end."""

    family: str
    name: str
    file: str
    allowed: Allowed
    make: Thing
    seconds: float

    def __str__(self) -> str:
        return f"{self.family}-{self.name}"


CASES: list[Case] = []


def holds(
    family: str, allowed: Allowed, suffix: str = "", *, file: str = "", seconds: float = SECONDS
) -> Callable[[Bytes], Bytes]:
    """Enter a function that gives a file's bytes; the file is called `file`, or by the function and `suffix`."""

    def enter(content: Bytes) -> Bytes:
        def make(path: Path, outside: Path) -> None:
            path.write_bytes(content(outside))

        _enter(family, content.__name__, file or content.__name__ + (suffix or f".{family}"), allowed, make, seconds)
        return content

    return enter


def table(family: str, allowed: Allowed, rows: dict[str, Bytes], suffix: str = "") -> None:
    """Enter a whole table of names and contents."""
    for name, content in rows.items():
        made = content

        def make(path: Path, outside: Path, made: Bytes = made) -> None:
            path.write_bytes(made(outside))

        _enter(family, name, name + (suffix or f".{family}"), allowed, make, SECONDS)


def thing(family: str, allowed: Allowed, file: str) -> Callable[[Thing], Thing]:
    """Enter a function that makes something else than a plain file."""

    def enter(make: Thing) -> Thing:
        _enter(family, make.__name__, file, allowed, make, SECONDS)
        return make

    return enter


def _enter(family: str, name: str, file: str, allowed: Allowed, make: Thing, seconds: float) -> None:
    CASES.append(Case(family, name, file, allowed, make, seconds))
