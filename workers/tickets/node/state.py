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

from workers.tickets.keyring import InvalidKey, Keyring

MEMORY_FILESYSTEMS = ("tmpfs", "ramfs")


class NotOnTmpfs(Exception):
    """Keys lie on a tmpfs only, such as /run. Name another place with --ring, on the bind line and here."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class KeyringRecord:
    """A ring by its names: of which generation it is (0: the node's own), and since when it is here (epoch)."""

    key_names: tuple[str, ...]
    generation: int
    since: float


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """Who may change the ring, the newest generation `seen`, and the rings that may be in the file by now."""

    token: int = 0
    owner: str = ""
    newest_generation: int = 0
    keyrings: tuple[KeyringRecord, ...] = ()

    def find(self, keyring: Keyring) -> KeyringRecord | None:
        """What is known of a ring."""
        return next((each for each in self.keyrings if each.key_names == keyring.names), None)


class NodeState:
    """Ring file and record of a node. Every method is called under `lock`."""

    def __init__(self, keyring_file: Path, record_file: Path, clock: Callable[[], float]) -> None:
        self._keyring_file, self._record_file, self._clock = keyring_file, record_file, clock

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One at a time on this node."""
        with self._record_file.with_suffix(".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def load_keyring(self) -> Keyring | None:
        """The ring of the file; None if there is none that is sound."""
        try:
            return Keyring.decode(self._keyring_file.read_text(encoding="ascii").split())
        except (FileNotFoundError, InvalidKey):
            return None

    def store(self, keyring: Keyring, generation: int) -> None:
        """Let the file be this ring: whoever dies in between, the record knows the one that it finds. Raises OnDisk."""
        self.record_generation(keyring, generation)
        self.write_keyring(keyring)

    def write_keyring(self, keyring: Keyring) -> None:
        """Write a file that was lost. Raises OnDisk."""
        if filesystem_type(self._keyring_file.parent.resolve()) not in MEMORY_FILESYSTEMS:
            raise NotOnTmpfs
        _write_atomically(self._keyring_file, "".join(f"{line}\n" for line in keyring.encode()))

    def record_generation(self, keyring: Keyring, generation: int) -> None:
        """Note the generation of a ring that is in the file or will be in a moment."""
        record, here = self.load_record(), self.load_keyring()
        before = record.find(here) if here else None
        rings = [KeyringRecord(keyring.names, generation, self._clock()), *([before] if before else [])]
        self.save_record(
            replace(record, keyrings=tuple(rings), newest_generation=max(record.newest_generation, generation))
        )

    def load_record(self) -> NodeRecord:
        """The record; an empty one where it is lost."""
        try:
            told = json.loads(self._record_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return NodeRecord()
        rings = [KeyringRecord(tuple(each["names"]), each["generation"], each["at"]) for each in told["rings"]]
        return NodeRecord(told["token"], told["holder"], told["seen"], tuple(rings))

    def save_record(self, record: NodeRecord) -> None:
        """Keep a record, whatever happens to the power."""
        _write_atomically(self._record_file, json.dumps(asdict(record)), durable=True)

    def age(self, record: KeyringRecord) -> float:
        """For how many seconds a ring has been here; below 0 if the clock was set back meanwhile."""
        return self._clock() - record.since


def filesystem_type(folder: Path) -> str:
    """Type of the file system that a directory is on (proc(5), mountinfo); of mounts over each other the last one."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    around = [each for each in mounts if folder.is_relative_to(each[4])]
    nearest = max(len(each[4]) for each in around)
    found = [each for each in around if len(each[4]) == nearest][-1]
    return found[found.index("-") + 1]


def _write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(handle)
    fresh.rename(path)
