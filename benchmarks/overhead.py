"""The platform's overhead per job: no-ops per second compared with other queues, and time beyond the bare engine.

    python -m benchmarks.overhead

Starts its own RabbitMQ and Redis; takes about three minutes. The last line of output is one JSON object:
`noop_per_second` (Bulkhead's worker), `celery_per_second` and so on (median rounds), `ratio` of the first two,
`overhead_ms` per job, and the figures from which it is computed.
"""

import argparse
import os
import sys
from pathlib import Path

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peers import BROKER_URL, REDIS_URL
from benchmarks.support.services import (
    ROOT,
    print_progress,
    print_result,
    running_broker,
    running_platform,
    running_redis,
    scratch,
)

# Turns off what the other queues do not do either: a low CPU priority, and replacing the child regularly.
COMPARABLE_SETTINGS = {"BULKHEAD_CHILD_NICENESS": "0", "BULKHEAD_MAX_JOBS_PER_CHILD": "1000000"}


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of no-ops (5)")
    rounds = parser.parse_args().rounds
    with (
        scratch() as home,
        running_broker(home) as broker_url,
        running_redis(home) as redis_url,
        running_platform(home, broker_url) as platform,
    ):
        environment = {"PYTHONPATH": str(ROOT), **COMPARABLE_SETTINGS, **platform.environment}
        environment |= {BROKER_URL: broker_url, REDIS_URL: redis_url}
        os.environ.update(environment)
        # These modules read the settings, which are known only now.
        from benchmarks.peers.throughput import measure_throughput
        from benchmarks.peers.worker_time import measure_worker_time

        rates = measure_throughput(home, rounds, environment, print_progress)
        times = measure_worker_time(platform, home, print_progress)
    print_result(
        {
            **{f"{name}_per_second": round(rate) for name, rate in rates.items()},
            "ratio": round(rates["noop"] / rates["celery"], 2),
            **times,
        }
    )


if __name__ == "__main__":
    main()
