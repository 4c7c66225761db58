"""`bulkhead capacity` computes from what the ledger has seen of a lane."""

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


def test_given_measured_renders_then_the_workers_of_their_lane_are_told_to_people_and_programs(url: str) -> None:
    told = capacity(url, "--rate", "20")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == (
        "40 renders of 'render' took 0.50 s each (variance/mean² 0.00).\n"
        "12 workers do 20 a second: 83% busy, 99 of 100 renders wait 0.48 s at most, fences of 6,144 MiB in all.\n"
    )

    facts = json.loads(capacity(url, "--rate", "20", "--json").stdout)
    assert (facts["lane"], facts["renders"], facts["mean"], facts["workers"]) == (RENDER, 40, 0.5, 12)
    assert facts["memory_bytes"] == 12 * 512 * 1024**2


def test_given_too_few_renders_or_no_such_lane_then_the_error_says_what_to_do(url: str) -> None:
    few = capacity(url, "--rate", "1", "--lane", TILES)
    assert few.returncode == 2
    assert few.stderr == (
        "The ledger has 1 finished renders of 'render.tiles', and 30 are the least to compute from. "
        "Render some typical drawings first.\n"
    )
    unknown = capacity(url, "--rate", "1", "--lane", "fast")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "There is no lane 'fast'. Choose one of render, render.tiles, render.large.\n",
    )
