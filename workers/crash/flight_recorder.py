"""The flight recorder: where an attempt is, written where the death of its process cannot reach it.

    with record(var, me(), job=job.id, attempt=2) as flight:    # in the child
        flight.at("encode", "PIPES")

    last = take(var, pid)                                       # in the parent, when the child is gone

A record is one small file, mapped into memory: a step costs some 20 microseconds, and no call of the system. The kernel
keeps the pages whatever ends the process. The file goes with its attempt unless the process was ended in the middle.
"""

import json
import mmap
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from celery.utils.log import get_logger

from workers.runtime.lease_owner import host_id, is_gone
from workers.sandbox import process_stats

logger = get_logger(__name__)

FOLDER = "flights"

# A process that is killed may be in the middle of writing. So two slots take turns, each with a number and a checksum:
# one of them is always whole.
SIZE = 4096
_MEMORY = struct.Struct("<QQ")  # resident set now, and the largest seen, in bytes
_HEADER = struct.Struct("<IHI")  # number, length, checksum of what follows: JSON
_SLOTS = (64, 2048)

# Characters kept of a stage's or a layer's name. Each takes up to 12 bytes, so two names and the rest fit in a slot.
MAX_NAME_LENGTH = 70

# How often the resident set is looked at (seconds). A fast hog touches some 100 MB in that time.
MEASURE_INTERVAL = 0.05

# The stage of an attempt that waits for the ledger.
WAITING = "waiting"

# Seconds after which the record of a child that is gone has no reader any more.
RETENTION = 300.0


@dataclass(frozen=True, slots=True)
class FlightRecord:
    """Where an attempt was. Memory in bytes, 0 where it is not known; `stage` and `layer` as progress tells them."""

    job: str
    attempt: int
    stage: str = ""
    layer: str = ""
    planned: int = 0
    resident: int = 0
    peak: int = 0


_JSON_FIELDS = [field.name for field in fields(FlightRecord) if field.name not in ("resident", "highest")]


class FlightRecorder:
    """The recorder of one attempt, over `memory` of SIZE bytes."""

    def __init__(self, memory: mmap.mmap, *, job: str, attempt: int) -> None:
        self._memory = memory
        self._sequence = 0
        self._peak = 0
        self._write(FlightRecord(job, attempt))

    def set_stage(self, stage: str, layer: str = "") -> None:
        """The attempt is here now."""
        self._write(replace(self._record, stage=stage[:MAX_NAME_LENGTH], layer=layer[:MAX_NAME_LENGTH]))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The attempt waits for the platform, not for its own work."""
        stage, layer = self._record.stage, self._record.layer
        self.set_stage(WAITING)
        try:
            yield
        finally:
            self.set_stage(stage, layer)

    def set_planned(self, planned: int) -> None:
        """What the whole process was expected to take, in bytes."""
        self._write(replace(self._record, planned=planned))

    def measure(self) -> None:
        """Note the resident set."""
        resident = process_stats.resident_memory()
        self._peak = max(self._peak, resident)
        _MEMORY.pack_into(self._memory, 0, resident, self._peak)

    def measure_until(self, stopped: threading.Event) -> None:
        """Look again and again until stopped."""
        while not stopped.wait(MEASURE_INTERVAL):
            self.measure()

    def snapshot(self) -> FlightRecord | None:
        """The record so far."""
        self.measure()
        return parse_record(self._memory[:SIZE])

    def _write(self, record: FlightRecord) -> None:
        self._record = record
        self._sequence += 1
        told = {name: getattr(record, name) for name in _JSON_FIELDS}
        text = json.dumps(told).encode()
        start = _SLOTS[self._sequence % 2]
        head = _HEADER.pack(self._sequence, len(text), zlib.crc32(text))
        self._memory[start : start + len(head) + len(text)] = head + text
        self.measure()


@contextmanager
def record_attempt(var: Path, owner: str, *, job: str, attempt: int) -> Iterator[FlightRecorder]:
    """Record an attempt of the child `holder`. Its file stays if the block is left by SystemExit: the process ends."""
    path = var / FOLDER / owner
    memory = _map_file(path)
    ended = False
    flight = FlightRecorder(memory, job=job, attempt=attempt)
    stopped = threading.Event()
    watch = threading.Thread(target=flight.measure_until, args=(stopped,), daemon=True, name="flight recorder")
    watch.start()
    try:
        yield flight
    except SystemExit:
        ended = True
        raise
    finally:
        stopped.set()
        watch.join()
        memory.close()
        if not ended:
            with suppress(OSError):  # it may never have been made
                path.unlink()


def pop_record(var: Path, pid: int) -> FlightRecord | None:
    """What a child of this host recorded last; its file is removed. None if there is nothing that can be read."""
    found = None
    for path in (var / FOLDER).glob(f"{host_id()}:{pid}:*"):
        with suppress(OSError):
            found = parse_record(path.read_bytes()) or found
            path.unlink()
    return found


def remove_stale_records(var: Path) -> None:
    """Remove the records of children that are gone and that nobody took."""
    oldest = time.time() - RETENTION
    for path in (var / FOLDER).glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest and is_gone(path.name):
                path.unlink()


def _map_file(path: Path) -> mmap.mmap:
    """The file, made and mapped; memory that nobody else sees where it cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(file, 0, SIZE)  # a full disk shall say so here: in the mapping it would be SIGBUS
            return mmap.mmap(file, SIZE)
        finally:
            os.close(file)
    except OSError as error:
        logger.warning("The attempt is not recorded, its death would stay unexplained: %s", error)
        return mmap.mmap(-1, SIZE)


def parse_record(memory: bytes) -> FlightRecord | None:
    """The newest record of a flight's file that is whole; None if there is none."""
    if len(memory) < SIZE:
        return None
    newest, words = 0, None
    for start in _SLOTS:
        number, length, checksum = _HEADER.unpack_from(memory, start)
        text = memory[start + _HEADER.size :][:length]
        if number > newest and zlib.crc32(text) == checksum:
            newest, words = number, text
    if words is None:
        return None
    resident, highest = _MEMORY.unpack_from(memory)
    try:
        return FlightRecord(**json.loads(words), resident=resident, peak=highest)
    except (ValueError, TypeError):  # of another version
        return None
