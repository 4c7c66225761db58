"""The storm of bombs in short; `make chaos` is the whole one."""

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.system.storms.chaos_run import scratch
from tests.system.storms.crashes import BOMBS, HANGS, built, storm

JOBS = 20
SEED = 3

# Seconds. A bomb needs one, a good job less; the rest is for a busy machine.
TIME_LIMIT = 6


@pytest.mark.service
@pytest.mark.timeout(400)
def test_given_bombs_hangs_and_kills_under_systemd_then_each_job_ends_as_it_deserves_and_no_parent_falls() -> None:
    try:
        with scratch(keep=False, tell=print) as home, built(home, time_limit=TIME_LIMIT) as house:
            sentence = storm(house, JOBS, SEED, print)
    except NotInstalled as error:
        skip_or_fail(error)

    assert sentence.broken == []
    mischief = JOBS * BOMBS // 100, JOBS * HANGS // 100
    assert sentence.counts["ended"] == {
        "bomb: dead": mischief[0],
        "good: succeeded": JOBS - sum(mischief),
        "hang: dead": mischief[1],
    }
