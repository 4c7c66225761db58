"""Generates heartbeats, and computes the table that they must lead to from the heartbeats alone."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tasks.heartbeats import READINGS, Beat, Heartbeats

PLANTS = ("ulm", "bern", "graz")
STATUSES = ("running", "idle", "stopped", "fault", "service")
START = 1_700_000_000.0  # long ago, so that no heartbeat is from the future

# Maximum delay of a late heartbeat in messages: within the 62 sequence numbers that deduplication remembers.
MAX_DELAY = 20

# Shares of late heartbeats, of duplicate messages, and of messages that contain a heartbeat twice.
LATE_SHARE, DUPLICATE_MESSAGES, DUPLICATE_BEATS = 0.02, 0.05, 0.2

Key = tuple[str, str]


@dataclass
class Oracle:
    """Expected rows of the table. Each heartbeat is added once, in the order of its first publication."""

    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    beats: int = 0

    def add(self, plant: str, beat: Beat) -> None:
        """Add a heartbeat."""
        self.beats += 1
        row = self.rows.get((plant, beat.machine))
        if row is None:
            row = self.rows[plant, beat.machine] = {"beats": 0, "seq": -1, "seen_at": -1.0, "status": ""}
            for name in READINGS:
                row |= {name: None, f"{name}_count": 0, f"{name}_sum": 0.0, f"{name}_min": None, f"{name}_max": None}
            row["latest"] = (-1.0, -1)
        row["beats"] += 1
        row["seq"] = max(row["seq"], beat.seq)
        latest = (beat.seen_at, beat.seq) > row["latest"]
        if latest:
            row.update(latest=(beat.seen_at, beat.seq), seen_at=beat.seen_at, status=beat.status)
        for name in READINGS:
            value = getattr(beat, name)
            if latest:
                row[name] = value
            if value is not None:
                low, high = row[f"{name}_min"], row[f"{name}_max"]
                row[f"{name}_count"] += 1
                row[f"{name}_sum"] += value
                row[f"{name}_min"] = value if low is None else min(low, value)
                row[f"{name}_max"] = value if high is None else max(high, value)

    def expected(self) -> dict[Key, dict[str, Any]]:
        """The rows as `stored` returns them."""
        return {key: {name: value for name, value in row.items() if name != "latest"} for key, row in self.rows.items()}


class MessageGenerator:
    """Generates messages of `size` heartbeats, mostly in order: some heartbeats are late, some messages duplicates."""

    def __init__(self, beats: int, machines: int, size: int, seed: int) -> None:
        self.oracle = Oracle()
        self._remaining = beats
        self._size = size
        self._rng = random.Random(seed)
        self._seqs = [0] * machines
        self._plan: list[int] = []
        self._delayed: list[tuple[int, str, Beat]] = []

    def messages(self) -> Iterator[bytes]:
        """All messages. A duplicate message stands for a lost confirm."""
        number = 0
        while self._remaining or self._delayed:
            number += 1
            plant = PLANTS[number % len(PLANTS)]
            due = [beat for due_at, of_plant, beat in self._delayed if of_plant == plant and due_at <= number]
            self._delayed = [delayed for delayed in self._delayed if not (delayed[1] == plant and delayed[0] <= number)]
            beats = due + self._new(plant, number)
            if not beats:
                continue
            for beat in beats:
                self.oracle.add(plant, beat)
            if self._rng.random() < DUPLICATE_BEATS:
                beats.append(self._rng.choice(beats))
            body = msgspec.json.encode(Heartbeats(plant, beats))
            yield body
            if self._rng.random() < DUPLICATE_MESSAGES:
                yield body

    def _new(self, plant: str, number: int) -> list[Beat]:
        """The next heartbeats without delayed ones."""
        beats = []
        for _ in range(min(self._size, self._remaining)):
            beat = self._beat()
            if self._rng.random() < LATE_SHARE:
                self._delayed.append((number + self._rng.randrange(1, MAX_DELAY), plant, beat))
            else:
                beats.append(beat)
        self._remaining -= min(self._size, self._remaining)
        return beats

    def _beat(self) -> Beat:
        rng = self._rng
        if not self._plan:
            self._plan = list(range(len(self._seqs)))
            rng.shuffle(self._plan)
        machine = self._plan.pop()
        seq = self._seqs[machine]
        self._seqs[machine] += 1
        readings = [round(rng.random() * 1000, 3) if rng.random() < 0.9 else None for _ in READINGS]
        status = STATUSES[int(rng.random() * len(STATUSES))]
        return Beat(f"press-{machine:05}", seq, START + seq + rng.random(), status, *readings)  # type: ignore[arg-type]
