"""The same heartbeats through Celery: one task per heartbeat, or a hundred per task with celery-batches.

The worker is one process (`--pool solo`) bound to a core. It validates and folds heartbeats like the coalescer. After
the last one it writes the seconds since the first one to a file.
"""

import os
import time
from pathlib import Path
from typing import Any

from celery import Celery

from tasks.heartbeats import parse
from workers.heartbeats.window import Window

BROKER_URL = "BENCHMARK_BROKER_URL"
BEATS = "BENCHMARK_BEATS"
RESULT = "BENCHMARK_RESULT"
CORE = "BENCHMARK_CORE"

FLUSH_EVERY = 100
FLUSH_INTERVAL = 1  # seconds

app = Celery("beats", broker=os.environ[BROKER_URL], set_as_current=False)
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 10 * FLUSH_EVERY
app.conf.worker_enable_remote_control = False

window = Window(
    seconds=3600,
    machines_per_plant=1_000_000,
    max_cached=200_000,
    max_clock_skew=1e9,
    machine_counts={},
    clock=time.monotonic,
)
started_at = 0.0


def fold(bodies: list[str]) -> None:
    """Validate and fold messages of one heartbeat each."""
    global started_at
    if not started_at:
        os.sched_setaffinity(0, {int(os.environ[CORE])})
        started_at = time.perf_counter()
    now = time.time()
    for body in bodies:
        message = parse(body.encode())
        if unknown := window.fold(message.plant, message.beats, now):
            window.add_known({message.plant: [beat.machine for beat in unknown]}, ())
            window.fold(message.plant, unknown, now)
    if window.counted == int(os.environ[BEATS]):
        Path(os.environ[RESULT]).write_text(str(time.perf_counter() - started_at))


@app.task(name="one")
def one(body: str) -> None:
    """One task per heartbeat."""
    fold([body])


try:
    from celery_batches import Batches  # type: ignore[import-not-found]
except ImportError:
    pass
else:

    @app.task(name="many", base=Batches, flush_every=FLUSH_EVERY, flush_interval=FLUSH_INTERVAL)
    def many(requests: list[Any]) -> None:
        """One task for a hundred messages."""
        fold([request.args[0] for request in requests])
