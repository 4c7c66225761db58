"""How long a preview takes beside a backlog of tiles: in a lane of its own, and in the one queue that it would share.

    python -m benchmarks.queues [--previews 100] [--rounds 3] [--minutes 40]

Two workers, a lane each. A round measures previews one after another while the tile worker is idle, and again while it
works on a backlog that would keep it for 40 minutes. Then both workers serve one queue, and a preview waits behind a
few sheets in it. The last line is one JSON object: medians over the rounds of p50 and p99 in milliseconds, from the
acceptance of a preview to its end; `p99_ratio`, the median of the rounds' own; seconds that a sheet takes, and sheets
in the backlog; and `shared_ms`, what the preview took behind `shared_sheets` in the one queue.
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

# Lines of the drawings, and pixels of the sheet that is cut into tiles: some 0.1 s, and some seconds.
PREVIEW_LINES = 200
SHEET_LINES = 2_000
SHEET_WIDTH = 2500

# Sheets before the preview in the one queue: enough to tell what more would cost.
SHARED_SHEETS = 4

# Workers hear within a third of a lease that their job was cancelled (seconds).
LEASE = 1

# Seconds within which any job here ends.
TIMEOUT = 600.0


def time_preview(sent: Renders) -> float:
    """Milliseconds from the acceptance of a preview to its end."""
    message = sent.make(PREVIEW_LINES)
    sent.accept(message)
    started = time.time()
    sent.publish(message)
    return 1000 * ((sent.finished(message.job, timeout=TIMEOUT).finished_at or 0) - started)


def submit_sheets(sent: Renders, count: int, queue: str) -> list[str]:
    """Have so many sheets cut; answers their jobs' ids. All are of one drawing, but of different widths."""
    drawing = sent.make(SHEET_LINES)
    jobs = [str(uuid.uuid4()) for _ in range(count)]
    for number, job in enumerate(jobs):
        options = RenderOptions(width=SHEET_WIDTH + number, tiles=True)
        message = drawing.model_copy(update={"job": job, "options": options})
        sent.accept(message, queue=queue)
        sent.publish(message, queue)
    return jobs


def cancel_jobs(sent: Renders, jobs: list[str], queue: str) -> int:
    """Cancel what is left of these jobs; answers how many."""
    with Connection(sent.platform.broker_url) as connection, connection.channel() as channel:
        channel.queue_purge(queue)
    cancelled = [
        sent.ledger.jobs.cancel(job, time.time(), error={"code": "cancelled", "detail": "Measured."}) for job in jobs
    ]
    time.sleep(2 * LEASE)
    return sum(cancelled)


def measure(sent: Renders, previews: int, backlog: int) -> dict[str, float]:
    """Milliseconds of previews beside an idle tile worker, and beside one with a backlog of so many sheets."""
    idle = percentiles([time_preview(sent) for _ in range(previews)])
    jobs = submit_sheets(sent, backlog, TILES)
    sent.child_at(jobs[0], timeout=TIMEOUT)
    behind = percentiles([time_preview(sent) for _ in range(previews)])
    left = cancel_jobs(sent, jobs, TILES)
    found = {f"idle_{name}": value for name, value in idle.items()}
    found |= {f"backlog_{name}": value for name, value in behind.items()}
    return {**found, "p99_ratio": behind["p99_ms"] / idle["p99_ms"], "sheets_left": left}


def measure_separate_queues(home: Path, broker_url: str, asked: argparse.Namespace) -> dict[str, float]:
    """Figures of a lane each."""
    with running_platform(home, broker_url) as platform:
        sent = start_workers(platform, (RENDER, TILES))
        (job,) = submit_sheets(sent, 1, TILES)
        one = sent.finished(job, timeout=TIMEOUT)
        if one.error:
            raise RuntimeError(f"a sheet failed: {one.error}")
        seconds = (one.finished_at or 0) - sent.history(job)[0].started_at
        backlog = ceil(60 * asked.minutes / seconds)
        print_progress(f"a sheet takes {seconds:.1f} s: {backlog} of them are the backlog")
        rounds = []
        for _ in range(asked.rounds):
            rounds.append(measure(sent, asked.previews, backlog))
            print_progress(str(rounds[-1]))
        sent.close()
    found = {name: median(figures[name] for figures in rounds) for name in rounds[0]}
    return {**found, "sheet_seconds": seconds, "backlog_sheets": backlog}


def measure_shared_queue(home: Path, broker_url: str) -> dict[str, float]:
    """What a preview takes behind a few sheets, both workers at one queue."""
    delete_queues(broker_url)
    with running_platform(home, broker_url) as platform:
        sent = start_workers(platform, (RENDER, RENDER))
        jobs = submit_sheets(sent, SHARED_SHEETS, RENDER)
        took = time_preview(sent)
        cancel_jobs(sent, jobs, RENDER)
        sent.close()
    return {"shared_sheets": SHARED_SHEETS, "shared_ms": took}


def start_workers(platform: Platform, queues: tuple[str, str]) -> Renders:
    """Two workers, each with its queue, warm."""
    sent = Renders(platform)
    for number, queue in enumerate(queues, 1):
        platform.start_worker(f"worker{number}", queue=queue, lease=str(LEASE))
    for _ in range(4):
        time_preview(sent)
    return sent


def percentiles(values: list[float]) -> dict[str, float]:
    """The values that half and 99 of 100 do not exceed."""
    values = sorted(values)
    return {f"p{share}_ms": values[round(share / 100 * (len(values) - 1))] for share in (50, 99)}


def main() -> None:
    """Measure both arrangements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--previews", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=40)
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with scratch() as home, running_broker(home) as broker_url:
        figures = measure_separate_queues(home / "lanes", broker_url, asked)
        figures |= measure_shared_queue(home / "shared", broker_url)
    print_result({**{name: round(value, 2) for name, value in figures.items()}, "load": round(load, 1)})


if __name__ == "__main__":
    main()
