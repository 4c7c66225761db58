"""Beats of a whole storm, and what a table must say after them: told from the beats alone, as they are made."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tasks.heartbeats import Beat, Heartbeats
from workers.heartbeats.schema import READINGS

PLANTS = ("ulm", "bern", "graz")
STATUSES = ("running", "idle", "stopped", "fault", "service")
START = 1_700_000_000.0  # long ago, whatever the clock says: no beat is from the future

# Beats of a machine that are held back come within this many messages, so within the 62 numbers that are told apart.
LATE = 20

# Parts of beats that come late, of messages that are sent twice, and of messages that repeat a beat within.
HELD_BACK, SENT_TWICE, REPEATED = 0.02, 0.05, 0.2

Key = tuple[str, str]


@dataclass
class Oracle:
    """Rows of the table, each beat added once, in the order in which it is first sent."""

    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)
    beats: int = 0

    def add(self, plant: str, beat: Beat) -> None:
        """One more beat of a machine."""
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
        """The rows as `stored` reads them."""
        return {key: {name: value for name, value in row.items() if name != "latest"} for key, row in self.rows.items()}


class Storm:
    """Makes messages of `size` beats of so many machines, mostly in order: some beats late, some messages twice."""

    def __init__(self, beats: int, machines: int, size: int, seed: int) -> None:
        self.oracle = Oracle()
        self._left = beats
        self._size = size
        self._chance = random.Random(seed)
        self._seqs = [0] * machines
        self._plan: list[int] = []
        self._held: list[tuple[int, str, Beat]] = []

    def messages(self) -> Iterator[bytes]:
        """All of them; a message that is there twice has its confirm lost, as it were."""
        number = 0
        while self._left or self._held:
            number += 1
            plant = PLANTS[number % len(PLANTS)]
            due = [beat for late, of, beat in self._held if of == plant and late <= number]
            self._held = [held for held in self._held if not (held[1] == plant and held[0] <= number)]
            beats = due + self._new(plant, number)
            if not beats:
                continue
            for beat in beats:
                self.oracle.add(plant, beat)
            if self._chance.random() < REPEATED:
                beats.append(self._chance.choice(beats))
            body = msgspec.json.encode(Heartbeats(plant, beats))
            yield body
            if self._chance.random() < SENT_TWICE:
                yield body

    def _new(self, plant: str, number: int) -> list[Beat]:
        """The next beats, save those that are held back."""
        beats = []
        for _ in range(min(self._size, self._left)):
            beat = self._beat()
            if self._chance.random() < HELD_BACK:
                self._held.append((number + self._chance.randrange(1, LATE), plant, beat))
            else:
                beats.append(beat)
        self._left -= min(self._size, self._left)
        return beats

    def _beat(self) -> Beat:
        chance = self._chance
        if not self._plan:
            self._plan = list(range(len(self._seqs)))
            chance.shuffle(self._plan)
        machine = self._plan.pop()
        seq = self._seqs[machine]
        self._seqs[machine] += 1
        measured = [round(chance.random() * 1000, 3) if chance.random() < 0.9 else None for _ in READINGS]
        status = STATUSES[int(chance.random() * len(STATUSES))]
        return Beat(f"press-{machine:05}", seq, START + seq + chance.random(), status, *measured)  # type: ignore[arg-type]
