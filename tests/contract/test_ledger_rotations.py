"""The row of rotations, on SQLite and MariaDB: a lease, tokens that only grow, and when the next one is due."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.database.engine import Database
from tasks.database.migrate import migrate
from tasks.jobs.rotations import Rotation, RotationInProgress, Rotations
from tests.services.mariadb import MariaDb

T0 = 1_700_000_000.25
LEASE = 60.0
INTERVAL = 3600.0


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.service)])
def rotations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rotations]:
    """An empty book."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/ledger.db"
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.fresh_database()
    database = Database(url)
    migrate(database)
    yield Rotations(database)
    database.close()


def claim(rotations: Rotations, holder: str = "a", now: float = T0, least: int = 0, gone: bool = False) -> int:
    return rotations.claim(holder, now=now, lease=LEASE, min_token=least, is_dead=lambda _holder: gone)


def due(rotations: Rotations, now: float) -> Rotation | None:
    return rotations.request_if_due(now, interval=INTERVAL, retry_after=LEASE)


def test_given_claims_then_tokens_grow_and_are_greater_than_any_that_a_node_knows(rotations: Rotations) -> None:
    assert [claim(rotations), claim(rotations), claim(rotations, least=41), claim(rotations, least=7)] == [1, 2, 42, 43]


def test_given_a_lease_then_nobody_else_claims_unless_it_is_over_or_its_holder_gone(rotations: Rotations) -> None:
    claim(rotations, "a")

    with pytest.raises(
        RotationInProgress, match=r"a is rotating\. Try again; should it have died, its lease ends in 50 s\."
    ):
        claim(rotations, "b", T0 + 10)

    assert claim(rotations, "b", T0 + 10, gone=True) == 2
    assert claim(rotations, "c", T0 + 10 + LEASE) == 3


def test_given_many_that_claim_first_at_once_then_one_gets_the_lease(rotations: Rotations) -> None:
    def attempt(number: int) -> bool:
        try:
            claim(rotations, f"holder-{number}")
        except RotationInProgress:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_given_a_run_that_is_settled_then_the_lease_is_free_and_the_row_tells(rotations: Rotations) -> None:
    token = claim(rotations)

    assert rotations.finish(token, generation=8, rotated_at=T0 + 1, result="rotated")

    assert rotations.find() == Rotation(8, token, T0 + 1, None, None, None, "rotated")
    assert claim(rotations, "b") == token + 1


def test_given_a_greater_token_then_a_former_run_settles_nothing(rotations: Rotations) -> None:
    former = claim(rotations)
    claim(rotations)

    assert not rotations.finish(former, generation=8, rotated_at=T0, result="rotated")
    assert rotations.find().generation == 0


def test_given_a_run_that_reached_no_node_then_the_generation_is_kept(rotations: Rotations) -> None:
    rotations.finish(claim(rotations), generation=8, rotated_at=T0, result="rotated")

    rotations.finish(claim(rotations), generation=0, rotated_at=None, result="unreachable")

    row = rotations.find()
    assert (row.generation, row.rotated_at, row.result) == (8, T0, "unreachable")


def test_given_no_rotation_yet_then_none_is_due(rotations: Rotations) -> None:
    assert rotations.find() == Rotation()
    assert due(rotations, T0) is None


def test_given_an_interval_then_the_next_one_is_asked_for_once_and_again_after_a_while(rotations: Rotations) -> None:
    rotations.finish(claim(rotations), generation=8, rotated_at=T0, result="rotated")

    assert due(rotations, T0 + INTERVAL - 1) is None
    row = due(rotations, T0 + INTERVAL)
    assert row is not None
    assert (row.generation, row.fencing_token) == (8, 1)
    assert due(rotations, T0 + INTERVAL + LEASE - 1) is None
    assert due(rotations, T0 + INTERVAL + LEASE) is not None

    rotations.finish(claim(rotations), generation=9, rotated_at=T0 + 2 * INTERVAL, result="rotated")
    assert due(rotations, T0 + 3 * INTERVAL) is not None
