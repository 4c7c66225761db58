"""How fast uploads are accepted under load, and whether every accepted job succeeds.

    python -m benchmarks.intake

Starts its own RabbitMQ, web tier, maintenance worker and two render workers. A client process sends distinct drawings
of 1 MB at a constant rate over persistent connections, even if responses are late. Latencies count from the time at
which a request was due, after a warm-up in which the server connects to broker and ledger. The workers render during
and after the load. The last line of output is one JSON object: `p50_ms`, `p99_ms`, `per_second` (responses 202),
`lost` (jobs accepted with 202 that did not succeed), `rejected` (other responses, by status), `client_cpu` (fraction of
one core).
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

# More jobs than can be waiting during the benchmark.
QUEUE_LIMIT = "1000000"

# Seconds until the backlog must be rendered, and between two checks of it.
TIMEOUT = 900.0
POLL_INTERVAL = 2.0


def main() -> None:
    """Run the load and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=100, help="requests a second (100)")
    parser.add_argument("--seconds", type=float, default=30, help="length of the load (30)")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds before it that do not count (3)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="render workers (2)")
    arguments = parser.parse_args()
    with scratch() as home, running_broker(home) as url, running_platform(home, url) as platform:
        platform.start_web(queue_limit=QUEUE_LIMIT)
        platform.start_maintenance()
        for number in range(arguments.workers):
            platform.start_worker(f"render{number + 1}")
        load = run_client(platform.url, arguments.rate, arguments.warm_up, arguments.seconds, home)
        print_progress(f"{len(load['jobs'])} jobs accepted; waiting for the last of them")
        rendered, lost = wait_for_jobs(platform, load["jobs"])
    print_result(summarize(load, arguments.seconds) | {"lost": lost, "rendered_meanwhile": rendered})


def run_client(url: str, rate: float, warm_up: float, seconds: float, home: Path) -> dict[str, Any]:
    """Run the client. Returns `latencies` in seconds, accepted `jobs`, `rejected` by status, `cpu` in seconds."""
    command = [sys.executable, "-m", "benchmarks.support.load_client", url, str(rate), str(warm_up), str(seconds)]
    client = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=warm_up + seconds + 120, check=False
    )
    (home / "client.log").write_text(client.stderr)
    if client.returncode:
        raise RuntimeError(f"The client failed:\n{client.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(client.stdout)
    return result


def wait_for_jobs(platform: Platform, jobs: list[str]) -> tuple[int, int]:
    """Wait until all jobs are finished. Returns how many were at the end of the load, and how many were lost."""
    ledger = open_ledger(platform.settings)
    deadline = time.monotonic() + TIMEOUT
    finished_during_load = ledger.jobs.count_by_state()[State.SUCCEEDED]
    while time.monotonic() < deadline:
        counts = ledger.jobs.count_by_state()
        remaining = sum(count for state, count in counts.items() if state not in FINAL)
        if not remaining:
            break
        print_progress(f"{remaining} jobs remain")
        time.sleep(POLL_INTERVAL)
    succeeded = sum((job := ledger.jobs.find(name)) is not None and job.state is State.SUCCEEDED for name in jobs)
    ledger.database.close()
    return finished_during_load, len(jobs) - succeeded


def summarize(load: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Summarize the client's result."""
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
