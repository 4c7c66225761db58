"""Beats of imaginary machines, what a table must say after them, and what it says."""

import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from sqlalchemy import create_engine, select

from tasks.heartbeats import HeartbeatPublisher, parse
from tasks.messaging.connections import PublishError
from workers.heartbeats.schema import READINGS, machines

PATIENCE = 30  # seconds that a broker may take to come up again

Expected = dict[tuple[str, str], dict[str, Any]]


@dataclass
class Plant:
    """Makes messages: mostly in order, sometimes late, sometimes twice."""

    name: str = "ulm"
    machines: int = 20
    seed: int = 1
    start: float = 1_700_000_000.0  # long ago, whatever the clock says: no beat is from the future
    _seqs: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._choose = random.Random(self.seed)

    def beat(self) -> dict[str, Any]:
        """The next beat of one of the machines."""
        choose = self._choose
        machine = f"press-{choose.randrange(self.machines):05}"
        seq = self._seqs[machine] = self._seqs.get(machine, -1) + 1
        measured = {name: round(choose.gauss(500, 100), 3) for name in READINGS if choose.random() < 0.9}
        status = choose.choice(["running", "idle", "stopped", "fault", "service"])
        return {
            "machine": machine,
            "seq": seq,
            "seen_at": self.start + seq + choose.random(),
            "status": status,
            **measured,
        }

    def messages(self, count: int, size: int = 10) -> Iterator[bytes]:
        """So many messages of so many new beats each, disturbed."""
        late: list[dict[str, Any]] = []
        said: bytes | None = None
        for _ in range(count):
            beats = [self.beat() for _ in range(size)]
            if self._choose.random() < 0.2:
                late.append(beats.pop())
            if late and self._choose.random() < 0.5:  # in time: within the numbers that are told apart
                beats.append(late.pop(0))
            beats += self._choose.choices(beats, k=int(self._choose.random() < 0.2)) if beats else []
            if beats:
                said = json.dumps({"version": 1, "plant": self.name, "beats": beats}).encode()
                yield said
            if said and self._choose.random() < 0.1:
                yield said  # its confirm was lost, so it is sent again


def expected(bodies: Iterable[bytes]) -> Expected:
    """What the table must say, told from the messages alone: each machine's beats by number, once each."""
    beats: dict[tuple[str, str], dict[int, Any]] = {}
    for body in bodies:
        message = json.loads(body)
        for beat in message["beats"]:
            beats.setdefault((message["plant"], beat["machine"]), {}).setdefault(beat["seq"], beat)
    return {key: _row(list(by_seq.values())) for key, by_seq in beats.items()}


def _row(beats: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`beats` in the order in which they came."""
    latest = max(beats, key=lambda beat: (beat["seen_at"], beat["seq"]))
    row = {"beats": len(beats), "seq": max(beat["seq"] for beat in beats)}
    row |= {name: latest.get(name) for name in ("seen_at", "status", *READINGS)}
    for name in READINGS:
        values = [float(beat[name]) for beat in beats if name in beat]
        total = 0.0
        for value in values:
            total += value
        row |= {f"{name}_count": len(values), f"{name}_sum": total}
        row |= {f"{name}_min": min(values, default=None), f"{name}_max": max(values, default=None)}
    return row


def stored(url: str) -> Expected:
    """What the table says."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(machines)).mappings().all()
    finally:
        engine.dispose()
    left_out = ("plant", "machine", "seen_mask")
    return {
        (row["plant"], row["machine"]): {name: value for name, value in row.items() if name not in left_out}
        for row in rows
    }


def publish(broker_url: str, bodies: Iterable[bytes]) -> list[bytes]:
    """Publish messages, each until it is confirmed, as a publisher must. Returns them."""
    sent = list(bodies)
    with Celery(broker=broker_url, set_as_current=False) as app:
        app.conf.broker_transport_options = {"confirm_publish": True}
        publisher = HeartbeatPublisher(app, 10)
        for body in sent:
            parse(body)
            _publish(publisher, body)
        publisher.close()
    return sent


def _publish(publisher: HeartbeatPublisher, body: bytes) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return publisher.publish(body)
        except PublishError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
