"""A short run of `python -m tests.system.storms.heartbeats`."""

import os

import pytest

from cli.embedded.process import NotInstalled
from tests.services.faults.doomed import POINTS
from tests.system.storms.heartbeats import SUSPENDED, plan, run_chaos
from tests.system.storms.heartbeats_system import running_system

BEATS = 40_000
KILLS = 6
SEED = 4


def test_given_a_seed_then_the_plan_is_always_the_same_and_contains_every_point() -> None:
    assert plan(60, 9) == plan(60, 9) != plan(60, 8)
    assert {point for point, _ in plan(KILLS, SEED)} == {*POINTS, SUSPENDED}


@pytest.mark.service
@pytest.mark.timeout(300)
def test_given_kills_at_every_point_then_the_table_has_the_values_of_the_oracle() -> None:
    try:
        with running_system("mariadb") as system:
            result = run_chaos(system, BEATS, KILLS, SEED, print)
    except NotInstalled as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))

    assert result["violations"] == []
    assert (result["lost"], result["wrong_rows"], result["lost_lease"]) == (0, 0, 1)
    assert result["hits"] == dict.fromkeys(sorted((*POINTS, SUSPENDED)), 1)
