"""The storm in short; `python -m tests.system.storms.durability` is the whole one."""

import os

import pytest

from cli.embedded.process import NotInstalled
from tests.system.storms.chaos_run import scratch
from tests.system.storms.durability import LEDGERS, built, storm

JOBS = 60
SEED = 7


@pytest.mark.service
@pytest.mark.timeout(700)
@pytest.mark.parametrize("ledger", LEDGERS)
def test_given_random_kills_when_drawings_are_submitted_then_none_that_was_accepted_is_lost_doubled_or_condemned(
    ledger: str,
) -> None:
    try:
        with scratch(keep=False, tell=print) as home, built(home, ledger) as house:
            verdict, done = storm(house, JOBS, SEED, print)
    except NotInstalled as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))

    assert verdict.violations == []
    assert verdict.counts["promised_succeeded"] == JOBS
    assert set(done["killed"]) == {"broker", "child", "maintenance", "web", "worker"}
