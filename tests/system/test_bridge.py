"""A short run of `python -m tests.system.storms.bridge`."""

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.services.edge import php
from tests.system.storms.bridge import run_chaos, running_system
from tests.system.storms.chaos_run import scratch_directory

JOBS = 60


@pytest.mark.service
@pytest.mark.timeout(300)
def test_given_a_broker_that_is_killed_while_php_publishes_then_no_render_is_lost_or_done_twice() -> None:
    try:
        php.find_php()
        with scratch_directory(keep=False, log=print) as home, running_system(home) as (platform, broker):
            violations, statistics = run_chaos(platform, broker, JOBS, 1, print)
    except NotInstalled as error:
        skip_or_fail(error)

    assert violations == []
    assert statistics["published"] == JOBS
