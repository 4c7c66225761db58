"""How long a preview takes beside a backlog of tiles, with a queue of its own and with a shared queue.

    python -m benchmarks.queues [--previews 100] [--rounds 3] [--minutes 40]

Two workers serve one queue each. A round measures previews one after another while the tile worker is idle, and again
while it works on a backlog of 40 minutes. Then both workers serve one queue, in which a preview waits behind a few
sheets. The last line of output is one JSON object: medians over the rounds of p50 and p99 in milliseconds, from the
acceptance of a preview to its end; `p99_ratio`, the median over the rounds; seconds per sheet, and sheets in the
backlog; and `shared_ms`, the time of the preview behind `shared_sheets` in the shared queue.
"""

import argparse
import os
import sys
import time
import uuid
from math import ceil
from pathlib import Path
from statistics import median

from kombu import Connection

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import print_progress, print_result, running_broker, running_platform, scratch
from tasks.messaging.topology import RENDER, TILES
from tasks.renders import RenderOptions
from tests.integration.jobs.renders import Renders
from tests.services.platform import Platform, delete_queues

# Lines of the drawings, and pixels of the sheet with tiles: they take about 0.1 s and a few seconds.
PREVIEW_LINES = 200
SHEET_LINES = 2_000
SHEET_WIDTH = 2500

# Sheets before the preview in the shared queue: enough to extrapolate to more.
SHARED_SHEETS = 4

# Workers notice within a third of a lease that their job was cancelled (seconds).
LEASE = 1

# Time limit of any job here (seconds).
TIMEOUT = 600.0


def time_preview(sent: Renders) -> float:
    """Milliseconds from the acceptance of a preview to its end."""
    message = sent.make(PREVIEW_LINES)
    sent.accept(message)
    started = time.time()
    sent.publish(message)
    return 1000 * ((sent.finished(message.job, timeout=TIMEOUT).finished_at or 0) - started)


def submit_sheets(sent: Renders, count: int, queue: str) -> list[str]:
    """Submit `count` sheets of one drawing with different widths. Returns the ids of their jobs."""
    drawing = sent.make(SHEET_LINES)
    jobs = [str(uuid.uuid4()) for _ in range(count)]
    for number, job in enumerate(jobs):
        options = RenderOptions(width=SHEET_WIDTH + number, tiles=True)
        message = drawing.model_copy(update={"job": job, "options": options})
        sent.accept(message, queue=queue)
        sent.publish(message, queue)
    return jobs


def cancel_jobs(sent: Renders, jobs: list[str], queue: str) -> int:
    """Cancel the remaining ones of these jobs. Returns how many."""
    with Connection(sent.platform.broker_url) as connection, connection.channel() as channel:
        channel.queue_purge(queue)
    cancelled = [
        sent.ledger.jobs.cancel(job, time.time(), error={"code": "cancelled", "detail": "Measured."}) for job in jobs
    ]
    time.sleep(2 * LEASE)
    return sum(cancelled)


def measure(sent: Renders, previews: int, backlog: int) -> dict[str, float]:
    """Milliseconds of previews beside an idle tile worker, and beside one with `backlog` sheets."""
    idle = percentiles([time_preview(sent) for _ in range(previews)])
    jobs = submit_sheets(sent, backlog, TILES)
    sent.child_at(jobs[0], timeout=TIMEOUT)
    behind = percentiles([time_preview(sent) for _ in range(previews)])
    left = cancel_jobs(sent, jobs, TILES)
    result = {f"idle_{name}": value for name, value in idle.items()}
    result |= {f"backlog_{name}": value for name, value in behind.items()}
    return {**result, "p99_ratio": behind["p99_ms"] / idle["p99_ms"], "sheets_left": left}


def measure_separate_queues(home: Path, broker_url: str, arguments: argparse.Namespace) -> dict[str, float]:
    """The result with a queue for each worker."""
    with running_platform(home, broker_url) as platform:
        sent = start_workers(platform, (RENDER, TILES))
        (job,) = submit_sheets(sent, 1, TILES)
        one = sent.finished(job, timeout=TIMEOUT)
        if one.error:
            raise RuntimeError(f"a sheet failed: {one.error}")
        seconds = (one.finished_at or 0) - sent.history(job)[0].started_at
        backlog = ceil(60 * arguments.minutes / seconds)
        print_progress(f"a sheet takes {seconds:.1f} s: the backlog has {backlog}")
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append(measure(sent, arguments.previews, backlog))
            print_progress(str(rounds[-1]))
        sent.close()
    result = {name: median(figures[name] for figures in rounds) for name in rounds[0]}
    return {**result, "sheet_seconds": seconds, "backlog_sheets": backlog}


def measure_shared_queue(home: Path, broker_url: str) -> dict[str, float]:
    """The time of a preview behind a few sheets, with both workers on one queue."""
    delete_queues(broker_url)
    with running_platform(home, broker_url) as platform:
        sent = start_workers(platform, (RENDER, RENDER))
        jobs = submit_sheets(sent, SHARED_SHEETS, RENDER)
        milliseconds = time_preview(sent)
        cancel_jobs(sent, jobs, RENDER)
        sent.close()
    return {"shared_sheets": SHARED_SHEETS, "shared_ms": milliseconds}


def start_workers(platform: Platform, queues: tuple[str, str]) -> Renders:
    """Start two workers, each with its queue, and warm them up."""
    sent = Renders(platform)
    for number, queue in enumerate(queues, 1):
        platform.start_worker(f"worker{number}", queue=queue, lease=str(LEASE))
    for _ in range(4):
        time_preview(sent)
    return sent


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    values = sorted(values)
    return {f"p{share}_ms": values[round(share / 100 * (len(values) - 1))] for share in (50, 99)}


def main() -> None:
    """Measure both arrangements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--previews", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=40)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with scratch() as home, running_broker(home) as broker_url:
        figures = measure_separate_queues(home / "separate", broker_url, arguments)
        figures |= measure_shared_queue(home / "shared", broker_url)
    print_result({**{name: round(value, 2) for name, value in figures.items()}, "load": round(load, 1)})


if __name__ == "__main__":
    main()
