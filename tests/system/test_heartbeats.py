"""The storm of beats in short; `python -m tests.system.storms.heartbeats` is the whole one."""

import os

import pytest

from cli.embedded.process import NotInstalled
from tests.services.faults.doomed import POINTS
from tests.system.storms.heartbeats import ASLEEP, built, plan, storm_over

BEATS = 40_000
KILLS = 6
SEED = 4


def test_given_a_seed_then_the_plan_is_always_the_same_and_every_point_has_its_turn() -> None:
    assert plan(60, 9) == plan(60, 9) != plan(60, 8)
    assert {point for point, _ in plan(KILLS, SEED)} == {*POINTS, ASLEEP}


@pytest.mark.service
@pytest.mark.timeout(300)
def test_given_kills_at_every_point_then_the_table_says_what_the_beats_say() -> None:
    try:
        with built("mariadb") as house:
            told = storm_over(house, BEATS, KILLS, SEED, print)
    except NotInstalled as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))

    assert told["broken"] == []
    assert (told["lost"], told["wrong_rows"], told["fenced"]) == (0, 0, 1)
    assert told["hits"] == dict.fromkeys(sorted((*POINTS, ASLEEP)), 1)
