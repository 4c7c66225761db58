"""The storm in short; `python -m tests.system.storms.bridge` is the whole one."""

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.services.edge import php
from tests.system.storms.bridge import built, storm
from tests.system.storms.chaos_run import scratch

JOBS = 60


@pytest.mark.service
@pytest.mark.timeout(300)
def test_given_a_broker_that_is_killed_while_php_publishes_then_nothing_is_lost_and_nothing_done_twice() -> None:
    try:
        php.find_php()
        with scratch(keep=False, tell=print) as home, built(home) as (platform, broker):
            broken, done = storm(platform, broker, JOBS, 1, print)
    except NotInstalled as error:
        skip_or_fail(error)

    assert broken == []
    assert done["published"] == JOBS
