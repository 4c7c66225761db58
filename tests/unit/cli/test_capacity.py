"""`bulkhead capacity` computes the number of workers from the renders in the ledger."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import Job, State, open_ledger
from tasks.messaging.topology import RENDER, TILES
from tasks.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger with forty previews of half a second and one render with tiles of a minute."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = open_ledger(Settings(ledger_url=SecretStr(url)))
    migrate(ledger.database)
    for queue, seconds in [*[(RENDER, 0.5)] * 40, (TILES, 60.0)]:
        job = Job(str(uuid4()), "acme", State.QUEUED, "sources/acme/x", "", {}, 1.0, 1.0, queue=queue)
        ledger.jobs.accept(job)
        ledger.attempts.claim(job, lease_owner="host:1:1", now=100.0, lease=30)
        ledger.attempts.succeed(job.id, 1, now=100.0 + seconds, artifact="a" * 64)
    ledger.database.close()
    return url


def capacity(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "capacity", *options]
    environment = {**os.environ, "BULKHEAD_LEDGER_URL": url}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_given_finished_renders_then_the_workers_of_their_queue_are_printed_as_text_and_json(url: str) -> None:
    printed = capacity(url, "--rate", "20")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == (
        "40 renders of 'render' took 0.50 s on average (variance divided by the squared mean: 0.00).\n"
        "20 renders per second need 12 workers, which are busy 83% of the time. "
        "99 % of the renders wait at most 0.48 s. "
        "The memory limits add up to 6,144 MiB.\n"
    )

    facts = json.loads(capacity(url, "--rate", "20", "--json").stdout)
    assert (facts["queue"], facts["renders"], facts["mean"], facts["workers"]) == (RENDER, 40, 0.5, 12)
    assert facts["memory_bytes"] == 12 * 512 * 1024**2


def test_given_too_few_renders_or_an_unknown_queue_then_the_error_says_what_to_do(url: str) -> None:
    too_few = capacity(url, "--rate", "1", "--queue", TILES)
    assert too_few.returncode == 2
    assert too_few.stderr == (
        "The ledger has 1 finished renders of 'render.tiles'; at least 30 are needed. "
        "Render some typical drawings first.\n"
    )
    unknown = capacity(url, "--rate", "1", "--queue", "fast")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "There is no queue 'fast'. Choose one of render, render.tiles, render.large.\n",
    )
