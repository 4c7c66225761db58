"""A short run of `make chaos`."""

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.system.storms.chaos_run import scratch_directory
from tests.system.storms.crashes import BOMBS, HANGS, run_chaos, running_system

JOBS = 20
SEED = 3

# Seconds. A bomb needs one, a good job less, and a busy machine more.
TIME_LIMIT = 6


@pytest.mark.service
@pytest.mark.timeout(400)
def test_given_bombs_hangs_and_kills_under_systemd_then_each_job_ends_properly_and_no_parent_crashes() -> None:
    try:
        with scratch_directory(keep=False, log=print) as home, running_system(home, time_limit=TIME_LIMIT) as system:
            verdict = run_chaos(system, JOBS, SEED, print)
    except NotInstalled as error:
        skip_or_fail(error)

    assert verdict.violations == []
    faulty = JOBS * BOMBS // 100, JOBS * HANGS // 100
    assert verdict.counts["ended"] == {
        "bomb: dead": faulty[0],
        "good: succeeded": JOBS - sum(faulty),
        "hang: dead": faulty[1],
    }
