"""How long a preview takes while tiles are being cut: in a lane of its own, and in the one queue that it would share.

    python -m benchmarks.lanes [--previews 20] [--tiles 12] [--rounds 3]

Two workers: one a lane, or both on one queue. A round measures previews one after another on an idle platform, and
again behind a backlog of tiles that lasts longer than they do. The last line is one JSON object: medians over the
rounds of p50 and p99 in milliseconds, and how many sheets were left when the last preview was done: at least one in a
lane of their own, else ask for more of them.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._services import report, running_broker, running_platform, scratch, tell
from tasks.renders import RenderOptions
from tasks.topology import RENDER, TILES
from tests.integration.renders import Renders
from tests.services.platform import Platform, delete_queues

# Lines of the drawings, and pixels of the sheet that is cut into tiles: some 0.1 s, and some seconds.
PREVIEW_LINES = 200
SHEET_LINES = 20_000
SHEET = RenderOptions(width=6000, tiles=True)


def preview(sent: Renders) -> float:
    """Milliseconds from the acceptance of a preview to its end."""
    message = sent.make(PREVIEW_LINES)
    sent.accept(message)
    started = time.time()
    sent.publish(message)
    return 1000 * ((sent.finished(message.job, timeout=600).finished_at or 0) - started)


def sheets(sent: Renders, count: int, queue: str) -> list[str]:
    """Have so many sheets cut; answers their jobs' ids."""
    messages = [sent.make(SHEET_LINES).model_copy(update={"options": SHEET}) for _ in range(count)]
    for message in messages:
        sent.accept(message, queue=queue)
        sent.publish(message, queue)
    return [message.job for message in messages]


def measure(sent: Renders, previews: int, tiles: int, queue: str) -> dict[str, float]:
    """Milliseconds of previews on an idle platform and behind a backlog of tiles, and what is left of that."""
    idle = [preview(sent) for _ in range(previews)]
    backlog = sheets(sent, tiles, queue)
    sent.child_at(backlog[0], timeout=600)
    behind = [preview(sent) for _ in range(previews)]
    left = sum(sent.find(job).finished_at is None for job in backlog)
    for job in backlog:
        sent.ledger.jobs.cancel(job, time.time(), error={"code": "cancelled", "detail": "Measured."})
    return {
        **{f"idle_{name}": value for name, value in percentiles(idle).items()},
        **{f"behind_{name}": value for name, value in percentiles(behind).items()},
        "sheets_left": left,
    }


def run(home: Path, broker_url: str, queues: tuple[str, str], asked: argparse.Namespace) -> dict[str, float]:
    """Figures of one arrangement of two workers."""
    delete_queues(broker_url)
    with running_platform(home, broker_url) as platform:
        sent = start(platform, queues)
        rounds = [measure(sent, asked.previews, asked.tiles, queues[1]) for _ in range(asked.rounds)]
        sent.close()
    return {name: round(median(figures[name] for figures in rounds), 1) for name in rounds[0]}


def start(platform: Platform, queues: tuple[str, str]) -> Renders:
    """Two workers, each with its queue, warm."""
    sent = Renders(platform)
    for number, queue in enumerate(queues, 1):
        platform.start_worker(f"worker{number}", queue=queue, lease_seconds="1")
    for _ in range(4):
        preview(sent)
    return sent


def percentiles(values: list[float]) -> dict[str, float]:
    """The values that half and 99 of 100 do not exceed."""
    values = sorted(values)
    return {f"p{share}_ms": values[round(share / 100 * (len(values) - 1))] for share in (50, 99)}


def main() -> None:
    """Measure both arrangements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--previews", type=int, default=20)
    parser.add_argument("--tiles", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with scratch() as home, running_broker(home) as broker_url:
        lanes = run(home / "lanes", broker_url, (RENDER, TILES), asked)
        tell(f"a lane each: {lanes}")
        shared = run(home / "shared", broker_url, (RENDER, RENDER), asked)
        tell(f"one queue: {shared}")
    report({**lanes, **{f"shared_{name}": value for name, value in shared.items()}})


if __name__ == "__main__":
    main()
