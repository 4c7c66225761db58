"""What a node keeps: the ring, in memory, and a record of it, on disk.

The ring file is the node's truth and lies on a tmpfs, 0600. The record tells the generation of a ring by the names of
its keys, and who may change it. It holds no secret and outlives a reboot, so that fencing does, too.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from workers.tickets.keyring import BadKey, Keyring

MEMORY_ONLY = ("tmpfs", "ramfs")


class OnDisk(Exception):
    """Keys lie on a tmpfs only, such as /run. Name another place with --ring, on the bind line and here."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class Dated:
    """A ring by its names: of which generation it is (0: the node's own), and since when it is here (epoch)."""

    names: tuple[str, ...]
    generation: int
    at: float


@dataclass(frozen=True, slots=True)
class Record:
    """Who may change the ring, the newest generation `seen`, and the rings that may be in the file by now."""

    token: int = 0
    holder: str = ""
    seen: int = 0
    rings: tuple[Dated, ...] = ()

    def of(self, ring: Keyring) -> Dated | None:
        """What is known of a ring."""
        return next((each for each in self.rings if each.names == ring.names), None)


class State:
    """Ring file and record of a node. Every method is called under `lock`."""

    def __init__(self, ring: Path, record: Path, clock: Callable[[], float]) -> None:
        self._ring, self._record, self._clock = ring, record, clock

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One at a time on this node."""
        with self._record.with_suffix(".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def ring(self) -> Keyring | None:
        """The ring of the file; None if there is none that is sound."""
        try:
            return Keyring.decode(self._ring.read_text(encoding="ascii").split())
        except (FileNotFoundError, BadKey):
            return None

    def put(self, ring: Keyring, generation: int) -> None:
        """Let the file be this ring: whoever dies in between, the record knows the one that it finds. Raises OnDisk."""
        self.date(ring, generation)
        self.restore(ring)

    def restore(self, ring: Keyring) -> None:
        """Write a file that was lost. Raises OnDisk."""
        if filesystem(self._ring.parent.resolve()) not in MEMORY_ONLY:
            raise OnDisk
        _replace(self._ring, "".join(f"{line}\n" for line in ring.encode()))

    def date(self, ring: Keyring, generation: int) -> None:
        """Note the generation of a ring that is in the file or will be in a moment."""
        record, here = self.record(), self.ring()
        before = record.of(here) if here else None
        rings = [Dated(ring.names, generation, self._clock()), *([before] if before else [])]
        self.note(replace(record, rings=tuple(rings), seen=max(record.seen, generation)))

    def record(self) -> Record:
        """The record; an empty one where it is lost."""
        try:
            told = json.loads(self._record.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return Record()
        rings = [Dated(tuple(each["names"]), each["generation"], each["at"]) for each in told["rings"]]
        return Record(told["token"], told["holder"], told["seen"], tuple(rings))

    def note(self, record: Record) -> None:
        """Keep a record, whatever happens to the power."""
        _replace(self._record, json.dumps(asdict(record)), durable=True)

    def age(self, dated: Dated) -> float:
        """For how many seconds a ring has been here; below 0 if the clock was set back meanwhile."""
        return self._clock() - dated.at


def filesystem(folder: Path) -> str:
    """Type of the file system that a directory is on (proc(5), mountinfo); of mounts over each other the last one."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    around = [each for each in mounts if folder.is_relative_to(each[4])]
    nearest = max(len(each[4]) for each in around)
    found = [each for each in around if len(each[4]) == nearest][-1]
    return found[found.index("-") + 1]


def _replace(path: Path, text: str, *, durable: bool = False) -> None:
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(handle)
    fresh.rename(path)
