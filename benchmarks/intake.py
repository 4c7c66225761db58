"""How quickly the intake answers under load, and whether it keeps what it promised.

    python -m benchmarks.intake

Starts a RabbitMQ, the web tier, maintenance and two render workers of its own. A client process of its own sends distinct
drawings of one megabyte at a steady rate over kept connections, whether or not the answers keep pace; each latency is
counted from the moment its request was due, once a warm-up is over: a server's first requests open its connections to
broker and ledger. The workers render meanwhile, and what is left afterwards. The last line of
output is one JSON object: `p50_ms`, `p99_ms`, `per_second` (answers 202), `lost` (jobs answered 202 that did not
succeed), `rejected` (any other answer, by status), `client_cpu` (share of one core).
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import ROOT, print_progress, print_result, running_broker, running_platform, scratch
from tasks.jobs import FINAL, State, open_ledger
from tests.services.platform import Platform

WORKERS = 2

# Jobs that wait while it lasts, and more.
QUEUE_LIMIT = "1000000"

# Seconds that the backlog may take to be rendered afterwards, and between two looks at it.
TIMEOUT = 900.0
POLL_INTERVAL = 2.0


def main() -> None:
    """Run the load and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=100, help="requests a second (100)")
    parser.add_argument("--seconds", type=float, default=30, help="length of the load (30)")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds before it that do not count (3)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="render workers (2)")
    asked = parser.parse_args()
    with scratch() as home, running_broker(home) as url, running_platform(home, url) as platform:
        platform.start_web(queue_limit=QUEUE_LIMIT)
        platform.start_maintenance()
        for number in range(asked.workers):
            platform.start_worker(f"render{number + 1}")
        load = run_client(platform.url, asked.rate, asked.warm_up, asked.seconds, home)
        print_progress(f"{len(load['jobs'])} jobs accepted; waiting for the last of them")
        rendered, lost = wait_for_jobs(platform, load["jobs"])
    print_result(summarize(load, asked.seconds) | {"lost": lost, "rendered_meanwhile": rendered})


def run_client(url: str, rate: float, warm_up: float, seconds: float, home: Path) -> dict[str, Any]:
    """What the client saw: `latencies` in seconds, `jobs` accepted, `rejected` by status, `cpu` seconds."""
    command = [sys.executable, "-m", "benchmarks.support.load_client", url, str(rate), str(warm_up), str(seconds)]
    client = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=warm_up + seconds + 120, check=False
    )
    (home / "client.log").write_text(client.stderr)
    if client.returncode:
        raise RuntimeError(f"The client failed:\n{client.stderr[-2000:]}")
    seen: dict[str, Any] = json.loads(client.stdout)
    return seen


def wait_for_jobs(platform: Platform, jobs: list[str]) -> tuple[int, int]:
    """Wait for the jobs to be settled. Returns how many were so at the end of the load, and how many were lost."""
    ledger = open_ledger(platform.settings)
    deadline = time.monotonic() + TIMEOUT
    at_first = ledger.jobs.count_by_state()[State.SUCCEEDED]
    while time.monotonic() < deadline:
        counts = ledger.jobs.count_by_state()
        left = sum(count for state, count in counts.items() if state not in FINAL)
        if not left:
            break
        print_progress(f"{left} jobs are left")
        time.sleep(POLL_INTERVAL)
    kept = sum((job := ledger.jobs.find(name)) is not None and job.state is State.SUCCEEDED for name in jobs)
    ledger.database.close()
    return at_first, len(jobs) - kept


def summarize(load: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The client's figures."""
    latencies = load["latencies"]
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [0.0] * 99
    return {
        "p50_ms": round(cuts[49] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
        "max_ms": round(max(latencies, default=0) * 1000, 1),
        "per_second": round(len(load["jobs"]) / load["elapsed"], 1),
        "sent": load["sent"],
        "rejected": load["rejected"],
        "client_cpu": round(load["cpu"] / seconds, 2),
        "connections": load["connections"],
    }


if __name__ == "__main__":
    main()
