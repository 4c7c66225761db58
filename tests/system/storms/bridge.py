"""No render that PHP published with a confirm is lost or done twice while the broker is killed.

    python -m tests.system.storms.bridge --jobs 1000 --restarts 3

Starts its own broker, worker and maintenance worker. A PHP process publishes renders directly to the broker and retries
unconfirmed ones. Meanwhile the broker is killed with SIGKILL and restarted. When all jobs have finished the ledger is
checked. The last line of output is one JSON object; exit code 1 if there is a violation.
"""

import argparse
import json
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kombu import Connection

from cli.embedded.process import Process
from cli.embedded.rabbitmq import prepare_rabbitmq
from cli.embedded.supervisor import Supervisor
from tasks.jobs import Ledger, Outcome, State, open_ledger
from tasks.messaging.connections import BROKER_ERRORS
from tasks.messaging.topology import RENDER
from tasks.renders import source_key
from tasks.storage import open_store
from tests.integration.jobs.renders import TENANT, drawing
from tests.services.edge import php
from tests.services.platform import Platform
from tests.system.storms.chaos_run import scratch_directory

SETTINGS = {"BULKHEAD_LEASE": "4", "BULKHEAD_REPUBLISH_AFTER": "5", "BULKHEAD_MAINTENANCE_INTERVAL": "1"}

# Timeout of PHP in seconds, its attempts at a render, and seconds until all jobs have finished.
TIMEOUT = "1.5"
ATTEMPTS = "60"
FINISH_TIMEOUT = 300.0

# Maximum seconds until PHP throws an exception.
MAX_ATTEMPT_SECONDS = 2.0


@contextmanager
def running_system(home: Path) -> Iterator[tuple[Platform, Process]]:
    """Start the platform, and stop it afterwards. Yields it with the process of its broker."""
    node = prepare_rabbitmq(home / "rabbitmq")
    with Supervisor(node.stages, home / "log") as supervisor:
        platform = Platform(home, node.url)
        platform.environment.update(SETTINGS)
        try:
            platform.start_worker()
            platform.start_maintenance()
            yield platform, supervisor.process("rabbitmq")
        finally:
            platform.stop()


def run_chaos(
    platform: Platform, broker: Process, jobs: int, restarts: int, log: Callable[[str], None]
) -> tuple[list[str], dict[str, Any]]:
    """Publish and kill, then wait for all jobs. Returns the violations and statistics."""
    ids = [str(uuid.uuid4()) for _ in range(jobs)]
    store, ledger = open_store(platform.settings.store_url), open_ledger(platform.settings)
    for job in ids:
        store.put(source_key(TENANT, job), drawing(1))  # the same for all, so that outputs are reused
    responses: list[dict[str, Any]] = []
    publishing = threading.Thread(target=publish, args=(platform.broker_url, ids, responses))
    publishing.start()
    for number in range(restarts):
        while len(responses) < jobs * (number + 1) // (restarts + 1):
            time.sleep(0.01)
        log(f"killing the broker after {len(responses)} responses")
        broker.kill()
        broker.start()
        broker.wait_ready()
    publishing.join()
    log("all renders are published")
    finished = wait_until_finished(ledger, ids)
    violations = find_violations(ledger, responses, len(ids))
    if waiting := remaining_messages(platform.broker_url):
        violations.append(f"{waiting} messages remain in the queue")
    ledger.database.close()
    tries = [seconds for response in responses for seconds in response["seconds"]]
    return violations, {
        "jobs": jobs,
        "restarts": restarts,
        "published": sum(response["published"] for response in responses),
        "threw": Counter(response["error"] for response in responses if "error" in response),
        "tries": len(tries),
        "slowest_try_s": round(max(tries), 3),
        "finished": finished,
    }


def publish(url: str, ids: list[str], responses: list[dict[str, Any]]) -> None:
    """Let PHP publish the jobs, and append its responses one by one."""
    process = php.start_script("publish.php", url, TIMEOUT, ATTEMPTS)
    assert process.stdin
    assert process.stdout
    for job in ids:
        process.stdin.write(json.dumps({"tenant": TENANT, "job": job, "options": {"width": 64}}) + "\n")
        process.stdin.flush()
        responses.append(json.loads(process.stdout.readline()))
    process.communicate(timeout=30)


def wait_until_finished(ledger: Ledger, ids: list[str]) -> int:
    """Wait until all jobs have finished or the timeout is over. Returns how many have finished."""
    deadline = time.monotonic() + FINISH_TIMEOUT
    while True:
        finished = sum(ledger.jobs.count_by_state()[state] for state in (State.SUCCEEDED, State.FAILED, State.DEAD))
        if finished == len(ids) or time.monotonic() > deadline:
            return finished
        time.sleep(0.2)


def find_violations(ledger: Ledger, responses: list[dict[str, Any]], expected: int) -> list[str]:
    """All violations as sentences."""
    violations = [] if len(responses) == expected else [f"{expected} responses were expected, got {len(responses)}"]
    for response in responses:
        job = ledger.jobs.find(response["job"])
        if not response["published"]:
            if "error" not in response:
                violations.append(f"{response['job']} was neither published nor rejected")
            continue
        if job is None or job.state is not State.SUCCEEDED:
            violations.append(f"{response['job']} was published and is {job.state if job else 'lost'}")
            continue
        successes = [attempt for attempt in ledger.attempts.history(job.id) if attempt.outcome is Outcome.SUCCEEDED]
        if len(successes) != 1:
            violations.append(f"{response['job']} succeeded {len(successes)} times")
    slow = sum(seconds > MAX_ATTEMPT_SECONDS for response in responses for seconds in response["seconds"])
    return violations + ([f"{slow} attempts took longer than {MAX_ATTEMPT_SECONDS:g} s"] if slow else [])


def remaining_messages(url: str) -> int:
    """Messages that remain in the queue; duplicates are acknowledged within a moment."""
    depth = 1
    for _ in range(50):
        with suppress(*BROKER_ERRORS), Connection(url, connect_timeout=2) as connection:
            depth = int(connection.default_channel.queue_declare(RENDER, passive=True).message_count)
            if not depth:
                break
        time.sleep(0.2)
    return depth


def main() -> int:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and print their directory")
    arguments = parser.parse_args()

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with scratch_directory(keep=arguments.keep, log=log) as home, running_system(home) as (platform, broker):
        violations, statistics = run_chaos(platform, broker, arguments.jobs, arguments.restarts, log)
    for violation in violations:
        print(f"VIOLATION: {violation}")
    print(json.dumps({**statistics, "violations": len(violations)}))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
