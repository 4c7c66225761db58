"""Nothing that PHP was told is published is lost, or done twice, while the broker is killed.

    python -m tests.system.storms.bridge --jobs 1000 --restarts 3

Starts a broker, a worker and maintenance of its own. One PHP process publishes renders straight to the broker and tries a
render again when it is not confirmed; the broker is killed with SIGKILL and started again meanwhile. Once everything is
settled the ledger is read. The last line of output is one JSON object; exit code 1 if any promise was broken.
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
from tests.system.storms.chaos_run import scratch

SETTINGS = {"BULKHEAD_LEASE": "4", "BULKHEAD_REPUBLISH_AFTER": "5", "BULKHEAD_MAINTENANCE_INTERVAL": "1"}

# Seconds that PHP gives the broker, tries of a render, and seconds that everything may take to settle.
TIMEOUT = "1.5"
TRIES = "60"
PATIENCE = 300.0

# The longest that a person may wait for an exception (seconds).
IN_TIME = 2.0


@contextmanager
def built(home: Path) -> Iterator[tuple[Platform, Process]]:
    """The platform and its broker's process, ended afterwards."""
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


def storm(
    platform: Platform, broker: Process, jobs: int, restarts: int, tell: Callable[[str], None]
) -> tuple[list[str], dict[str, Any]]:
    """Publish, kill, wait until all is settled. Returns the broken promises and what was done."""
    ids = [str(uuid.uuid4()) for _ in range(jobs)]
    store, ledger = open_store(platform.settings.store_url), open_ledger(platform.settings)
    for job in ids:
        store.put(source_key(TENANT, job), drawing(1))  # the same for all, so that a render costs next to nothing
    answers: list[dict[str, Any]] = []
    publishing = threading.Thread(target=publish, args=(platform.broker_url, ids, answers))
    publishing.start()
    for number in range(restarts):
        while len(answers) < jobs * (number + 1) // (restarts + 1):
            time.sleep(0.01)
        tell(f"the broker is killed after {len(answers)} answers")
        broker.kill()
        broker.start()
        broker.wait_ready()
    publishing.join()
    tell("all is published")
    settled = wait_until_settled(ledger, ids)
    broken = verdict(ledger, answers, len(ids))
    if waiting := left(platform.broker_url):
        broken.append(f"{waiting} messages are left in the queue")
    ledger.database.close()
    tries = [seconds for answer in answers for seconds in answer["seconds"]]
    return broken, {
        "jobs": jobs,
        "restarts": restarts,
        "published": sum(answer["published"] for answer in answers),
        "threw": Counter(answer["error"] for answer in answers if "error" in answer),
        "tries": len(tries),
        "slowest_try_s": round(max(tries), 3),
        "settled": settled,
    }


def publish(url: str, ids: list[str], answers: list[dict[str, Any]]) -> None:
    """Have PHP publish the jobs; its answers come in one by one."""
    process = php.start_script("publish.php", url, TIMEOUT, TRIES)
    assert process.stdin
    assert process.stdout
    for job in ids:
        process.stdin.write(json.dumps({"tenant": TENANT, "job": job, "options": {"width": 64}}) + "\n")
        process.stdin.flush()
        answers.append(json.loads(process.stdout.readline()))
    process.communicate(timeout=30)


def wait_until_settled(ledger: Ledger, ids: list[str]) -> int:
    """How many of the jobs are settled, once all are or the patience is over."""
    deadline = time.monotonic() + PATIENCE
    while True:
        settled = sum(ledger.jobs.count_by_state()[state] for state in (State.SUCCEEDED, State.FAILED, State.DEAD))
        if settled == len(ids) or time.monotonic() > deadline:
            return settled
        time.sleep(0.2)


def verdict(ledger: Ledger, answers: list[dict[str, Any]], asked: int) -> list[str]:
    """Every broken promise, in words."""
    broken = [] if len(answers) == asked else [f"{asked} were asked for and {len(answers)} answered"]
    for answer in answers:
        job = ledger.jobs.find(answer["job"])
        if not answer["published"]:
            if "error" not in answer:
                broken.append(f"{answer['job']} was neither published nor refused")
            continue
        if job is None or job.state is not State.SUCCEEDED:
            broken.append(f"{answer['job']} was published and is {job.state if job else 'lost'}")
            continue
        done = [each for each in ledger.attempts.history(job.id) if each.outcome is Outcome.SUCCEEDED]
        if len(done) != 1:
            broken.append(f"{answer['job']} was done {len(done)} times")
    slow = sum(seconds > IN_TIME for answer in answers for seconds in answer["seconds"])
    return broken + ([f"{slow} tries took longer than {IN_TIME:g} s"] if slow else [])


def left(url: str) -> int:
    """Messages that are still in the queue after a moment; a message too many is soon let go."""
    waiting = 1
    for _ in range(50):
        with suppress(*BROKER_ERRORS), Connection(url, connect_timeout=2) as connection:
            waiting = int(connection.default_channel.queue_declare(RENDER, passive=True).message_count)
            if not waiting:
                break
        time.sleep(0.2)
    return waiting


def main() -> int:
    """Run the storm that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="keep logs, ledger and store, and say where they are")
    asked = parser.parse_args()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with scratch(keep=asked.keep, tell=tell) as home, built(home) as (platform, broker):
        broken, done = storm(platform, broker, asked.jobs, asked.restarts, tell)
    for promise in broken:
        print(f"BROKEN: {promise}")
    print(json.dumps({**done, "violations": len(broken)}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
