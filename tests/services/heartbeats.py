"""Beats of simulated machines, and the expected and actual contents of the table."""

import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from sqlalchemy import create_engine, select

from tasks.heartbeats import READINGS, HeartbeatPublisher, parse
from tasks.messaging.connections import PublishError
from workers.heartbeats.schema import machines

RESTART_TIMEOUT = 30  # seconds for a broker to come up again

Expected = dict[tuple[str, str], dict[str, Any]]


@dataclass
class Plant:
    """Creates messages: mostly in order, some of them late or repeated."""

    name: str = "ulm"
    machines: int = 20
    seed: int = 1
    start: float = 1_700_000_000.0  # long ago, so that no beat is from the future
    _seqs: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._choose = random.Random(self.seed)

    def beat(self) -> dict[str, Any]:
        """The next beat of one of the machines."""
        choose = self._choose
        machine = f"press-{choose.randrange(self.machines):05}"
        seq = self._seqs[machine] = self._seqs.get(machine, -1) + 1
        readings = {name: round(choose.gauss(500, 100), 3) for name in READINGS if choose.random() < 0.9}
        status = choose.choice(["running", "idle", "stopped", "fault", "service"])
        return {
            "machine": machine,
            "seq": seq,
            "seen_at": self.start + seq + choose.random(),
            "status": status,
            **readings,
        }

    def messages(self, count: int, size: int = 10) -> Iterator[bytes]:
        """`count` messages of `size` new beats each, some of them late or repeated."""
        late: list[dict[str, Any]] = []
        last: bytes | None = None
        for _ in range(count):
            beats = [self.beat() for _ in range(size)]
            if self._choose.random() < 0.2:
                late.append(beats.pop())
            if late and self._choose.random() < 0.5:  # late, but within the replay window
                beats.append(late.pop(0))
            beats += self._choose.choices(beats, k=int(self._choose.random() < 0.2)) if beats else []
            if beats:
                last = json.dumps({"version": 1, "plant": self.name, "beats": beats}).encode()
                yield last
            if last and self._choose.random() < 0.1:
                yield last  # its confirmation was lost, so it is sent again


def expected(bodies: Iterable[bytes]) -> Expected:
    """The expected table, computed from the messages: every beat of a machine is counted once, by its number."""
    beats: dict[tuple[str, str], dict[int, Any]] = {}
    for body in bodies:
        message = json.loads(body)
        for beat in message["beats"]:
            beats.setdefault((message["plant"], beat["machine"]), {}).setdefault(beat["seq"], beat)
    return {key: _row(list(by_seq.values())) for key, by_seq in beats.items()}


def _row(beats: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a machine, from its beats in order of arrival."""
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
    """The contents of the table."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(machines)).mappings().all()
    finally:
        engine.dispose()
    excluded = ("plant", "machine", "seen_mask")
    return {
        (row["plant"], row["machine"]): {name: value for name, value in row.items() if name not in excluded}
        for row in rows
    }


def publish(broker_url: str, bodies: Iterable[bytes]) -> list[bytes]:
    """Publish messages, each until it is confirmed, as every publisher must. Returns them."""
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
    deadline = time.monotonic() + RESTART_TIMEOUT
    while True:
        try:
            return publisher.publish(body)
        except PublishError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
