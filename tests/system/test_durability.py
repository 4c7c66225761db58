"""A short run of `python -m tests.system.storms.durability`."""

import os

import pytest

from cli.embedded.process import NotInstalled
from tests.system.storms.chaos_run import scratch_directory
from tests.system.storms.durability import LEDGERS, run_chaos, running_system

JOBS = 60
SEED = 7


@pytest.mark.service
@pytest.mark.timeout(700)
@pytest.mark.parametrize("ledger", LEDGERS)
def test_given_random_kills_when_drawings_are_submitted_then_no_accepted_job_is_lost_repeated_or_failed(
    ledger: str,
) -> None:
    try:
        with scratch_directory(keep=False, log=print) as home, running_system(home, ledger) as system:
            verdict, statistics = run_chaos(system, JOBS, SEED, print)
    except NotInstalled as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))

    assert verdict.violations == []
    assert verdict.counts["accepted_succeeded"] == JOBS
    assert set(statistics["killed"]) == {"broker", "child", "maintenance", "web", "worker"}
