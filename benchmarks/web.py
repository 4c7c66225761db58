"""How much viewers slow down uploads.

    python -m benchmarks.web [--streams 500] [--viewers 100] [--rounds 5]

Each round measures uploads twice under the same constant load: alone, and beside viewers. These are event streams, each
of a waiting job, and clients that each request one output of a finished drawing per second, at random times. The order
alternates. The last line of output is one JSON object: `p99_ratio` (with viewers to without, median over the rounds),
the medians of both, `rejected` (responses other than 202, by status), and the fraction of a core that each client used,
because they share the machine with the server.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.intake import QUEUE_LIMIT, run_client, summarize
from benchmarks.support.services import ROOT, print_progress, print_result, running_broker, running_platform, scratch
from tasks.messaging.topology import TILES
from tasks.renders import RenderOptions
from tests.integration.jobs.renders import Renders
from tests.services.platform import Platform

WARM_UP = 3.0  # seconds of a load that do not count
DRAWING = RenderOptions(width=2048, tiles=True)
LINES = 2_000  # outputs of 4.1 MB in total, fourteen times those of a floor plan
TENANT = "local"  # of requests without a token


def main() -> None:
    """Run the rounds and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=500, help="open event streams (500)")
    parser.add_argument("--viewers", type=int, default=100, help="viewers with one request per second each (100)")
    parser.add_argument("--rate", type=float, default=30, help="drawings of 1 MB per second (30)")
    parser.add_argument("--seconds", type=float, default=30, help="length of a load (30)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of loads (5)")
    arguments = parser.parse_args()
    alone: list[dict[str, Any]] = []
    beside: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    with scratch() as home, running_broker(home) as url, running_platform(home, url) as platform:
        platform.start_web(queue_limit=QUEUE_LIMIT)
        drawing, waiting = prepare_jobs(platform, arguments.streams)

        def load() -> dict[str, Any]:
            return summarize(
                run_client(platform.url, arguments.rate, WARM_UP, arguments.seconds, home), arguments.seconds
            )

        for number in range(arguments.rounds):
            if number % 2:
                alone.append(load())
            with running_viewers(platform, waiting, drawing, arguments.viewers, seen):
                beside.append(load())
            if not number % 2:
                alone.append(load())
            print_progress(f"p99 {alone[-1]['p99_ms']} ms alone, {beside[-1]['p99_ms']} ms beside viewers; {seen[-1]}")
    ratios = [with_them["p99_ms"] / without["p99_ms"] for without, with_them in zip(alone, beside, strict=True)]
    print_result(
        {
            "p99_ratio": round(statistics.median(ratios), 2),
            "p99_ms": statistics.median(each["p99_ms"] for each in beside),
            "p99_alone_ms": statistics.median(each["p99_ms"] for each in alone),
            "rejected": sum((Counter(each["rejected"]) for each in alone + beside), Counter()),
            "sender_cpu": statistics.median(each["client_cpu"] for each in beside),
            "audience_cpu": statistics.median(each["cpu"] for each in seen),
            "audience": seen[-1],
        }
    )


def prepare_jobs(platform: Platform, streams: int) -> tuple[str, list[str]]:
    """A finished drawing with tiles, and jobs that no worker runs."""
    sender = Renders(platform)
    worker = platform.start_worker("tiles", queue=TILES)
    message = sender.make(LINES, tenant=TENANT).model_copy(update={"options": DRAWING})
    sender.accept(message, queue=TILES)
    sender.publish(message, TILES)
    sender.finished(message.job, timeout=120)
    worker.stop()
    waiting = [sender.make(tenant=TENANT) for _ in range(streams)]
    for each in waiting:
        sender.accept(each)
    sender.close()
    return message.job, [each.job for each in waiting]


@contextmanager
def running_viewers(
    platform: Platform, waiting: list[str], drawing: str, viewers: int, seen: list[dict[str, Any]]
) -> Iterator[None]:
    """Run viewers during the block, and add their result to `seen`."""
    command = [sys.executable, "-m", "benchmarks.support.viewer_load", platform.url, str(viewers)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(waiting)}\n{json.dumps(drawing)}\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("The viewers did not start.")
        yield
        process.stdin.close()
        seen.append(json.loads(process.stdout.readline()))


if __name__ == "__main__":
    main()
