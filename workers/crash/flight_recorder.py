"""The flight recorder: the current stage of an attempt, in shared memory that outlives its process.

    with record_attempt(var, current_owner(), job=job.id, attempt=2) as recorder:    # in the worker child
        recorder.set_stage("encode", "PIPES")
        recorder.set_memory(resident)                                              # of the sandboxed process

    record = pop_record(var, pid)                                   # in the parent, once the child has ended

A record is one small memory-mapped file: an update takes about 20 microseconds and no system call. The kernel keeps
the pages however the process ends. The file is removed with its attempt unless the process ends during it.
"""

import json
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from celery.utils.log import get_logger

from workers.sandbox.process_identity import host_id, is_gone

logger = get_logger(__name__)

FOLDER = "flight-records"

# A process may be killed during a write. Two slots are therefore written in turn, each with a sequence number and a
# checksum: at any time at least one of them is complete.
SIZE = 4096
_MEMORY = struct.Struct("<QQ")  # current and largest resident set, in bytes
_HEADER = struct.Struct("<IHI")  # sequence number, length and checksum of the JSON that follows
_SLOTS = (64, 2048)

# Characters of a stage's or layer's name. Each takes up to 12 bytes, so that two names and the other fields fit a slot.
MAX_NAME_LENGTH = 70

# The stage of an attempt while it waits for the ledger.
WAITING = "waiting"

# Seconds after which nobody will read the record of a child that has ended.
RETENTION = 300.0


@dataclass(frozen=True, slots=True)
class FlightRecord:
    """What an attempt was doing. Memory in bytes, 0 if unknown; `stage` and `layer` as in its progress reports."""

    job: str
    attempt: int
    stage: str = ""
    layer: str = ""
    planned: int = 0
    resident: int = 0
    peak: int = 0


_JSON_FIELDS = [field.name for field in fields(FlightRecord) if field.name not in ("resident", "peak")]


class FlightRecorder:
    """Records one attempt in `memory` of SIZE bytes."""

    def __init__(self, memory: mmap.mmap, *, job: str, attempt: int) -> None:
        self._memory = memory
        self._sequence = 0
        self._peak = 0
        self._write(FlightRecord(job, attempt))

    def set_stage(self, stage: str, layer: str = "") -> None:
        """Record the current stage and layer."""
        self._write(replace(self._record, stage=stage[:MAX_NAME_LENGTH], layer=layer[:MAX_NAME_LENGTH]))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Record for the duration of the block that the attempt waits for the ledger."""
        stage, layer = self._record.stage, self._record.layer
        self.set_stage(WAITING)
        try:
            yield
        finally:
            self.set_stage(stage, layer)

    def set_planned(self, planned: int) -> None:
        """Record the planned memory of the whole process, in bytes."""
        self._write(replace(self._record, planned=planned))

    def set_memory(self, resident: int, peak: int = 0) -> None:
        """Record the resident set of the sandboxed process and its peak, in bytes."""
        self._peak = max(self._peak, resident, peak)
        _MEMORY.pack_into(self._memory, 0, resident, self._peak)

    def snapshot(self) -> FlightRecord | None:
        """The current record."""
        return parse_record(self._memory[:SIZE])

    def _write(self, record: FlightRecord) -> None:
        self._record = record
        self._sequence += 1
        text = json.dumps({name: getattr(record, name) for name in _JSON_FIELDS}).encode()
        start = _SLOTS[self._sequence % 2]
        header = _HEADER.pack(self._sequence, len(text), zlib.crc32(text))
        self._memory[start : start + len(header) + len(text)] = header + text


@contextmanager
def record_attempt(var: Path, owner: str, *, job: str, attempt: int) -> Iterator[FlightRecorder]:
    """Record an attempt of the child `owner`. SystemExit ends the process, so the file is kept for the parent."""
    path = var / FOLDER / owner
    memory = _map_file(path)
    is_exiting = False
    recorder = FlightRecorder(memory, job=job, attempt=attempt)
    try:
        yield recorder
    except SystemExit:
        is_exiting = True
        raise
    finally:
        memory.close()
        if not is_exiting:
            with suppress(OSError):  # the file may never have been created
                path.unlink()


def pop_record(var: Path, pid: int) -> FlightRecord | None:
    """Read and remove the last record of a child of this host; None if there is none that can be read."""
    record = None
    for path in (var / FOLDER).glob(f"{host_id()}:{pid}:*"):
        with suppress(OSError):
            record = parse_record(path.read_bytes()) or record
            path.unlink()
    return record


def remove_stale_records(var: Path) -> None:
    """Remove unread records of children that have ended."""
    oldest = time.time() - RETENTION
    for path in (var / FOLDER).glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest and is_gone(path.name):
                path.unlink()


def _map_file(path: Path) -> mmap.mmap:
    """Create and map the file; fall back to private memory if it cannot be created."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(file, 0, SIZE)  # a full disk fails here; in the mapping it would raise SIGBUS
            return mmap.mmap(file, SIZE)
        finally:
            os.close(file)
    except OSError as error:
        logger.warning("The attempt is not recorded, so a crash would stay unexplained: %s", error)
        return mmap.mmap(-1, SIZE)


def parse_record(memory: bytes) -> FlightRecord | None:
    """The newest complete record in a file; None if there is none."""
    if len(memory) < SIZE:
        return None
    newest, content = 0, None
    for start in _SLOTS:
        number, length, checksum = _HEADER.unpack_from(memory, start)
        text = memory[start + _HEADER.size :][:length]
        if number > newest and zlib.crc32(text) == checksum:
            newest, content = number, text
    if content is None:
        return None
    resident, peak = _MEMORY.unpack_from(memory)
    try:
        return FlightRecord(**json.loads(content), resident=resident, peak=peak)
    except (ValueError, TypeError):  # written by another version
        return None
