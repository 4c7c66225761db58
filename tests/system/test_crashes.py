"""A short run of `make chaos`."""

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.system.storms.chaos_run import scratch_directory
from tests.system.storms.crashes import SHARES, run_chaos, running_system

JOBS = 20
SEED = 3

# Seconds of processor time, of which a good job needs one, and of each disturbance.
TIME_LIMIT = 6
DISTURBANCE = 15


@pytest.mark.service
@pytest.mark.timeout(400)
def test_given_faulty_drawings_kills_and_a_frozen_host_then_each_job_ends_properly_and_no_parent_crashes() -> None:
    try:
        with scratch_directory(keep=False, log=print) as home, running_system(home, time_limit=TIME_LIMIT) as system:
            verdict = run_chaos(system, JOBS, SEED, print, disturbance=DISTURBANCE)
    except NotInstalled as error:
        skip_or_fail(error)

    assert verdict.violations == []
    faulty = {kind: JOBS * share // 100 for kind, share in SHARES.items()}
    assert verdict.counts["ended"] == {
        "good: succeeded": JOBS - sum(faulty.values()),
        **{f"{kind}: dead": count for kind, count in faulty.items()},
    }
