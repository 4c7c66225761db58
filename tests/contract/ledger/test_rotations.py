"""The rotation of ticket keys in the ledger: a lease, growing fencing tokens, and when the next rotation is due."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.jobs import Ledger
from tasks.jobs.rotations import Rotation, RotationInProgress, Rotations

T0 = 1_700_000_000.25
LEASE = 60.0
INTERVAL = 3600.0


@pytest.fixture
def rotations(ledger: Ledger) -> Rotations:
    return ledger.rotations


def claim(rotations: Rotations, owner: str = "a", now: float = T0, min_token: int = 0, is_dead: bool = False) -> int:
    return rotations.claim(owner, now=now, lease=LEASE, min_token=min_token, is_dead=lambda _owner: is_dead)


def request(rotations: Rotations, now: float) -> Rotation | None:
    return rotations.request_if_due(now, interval=INTERVAL, retry_after=LEASE)


def test_given_claims_then_tokens_grow_and_exceed_those_of_the_nodes(rotations: Rotations) -> None:
    assert [claim(rotations), claim(rotations), claim(rotations, min_token=41), claim(rotations, min_token=7)] == [
        1,
        2,
        42,
        43,
    ]


def test_given_a_lease_then_others_claim_only_after_it_expires_or_its_owner_dies(
    rotations: Rotations,
) -> None:
    claim(rotations, "a")

    with pytest.raises(
        RotationInProgress, match=r"a is rotating the ticket keys\. Try again later; its lease expires in 50 s\."
    ):
        claim(rotations, "b", T0 + 10)

    assert claim(rotations, "b", T0 + 10, is_dead=True) == 2
    assert claim(rotations, "c", T0 + 10 + LEASE) == 3


def test_given_8_owners_that_claim_first_at_once_then_one_gets_the_lease(rotations: Rotations) -> None:
    def attempt(number: int) -> bool:
        try:
            claim(rotations, f"owner-{number}")
        except RotationInProgress:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_given_a_finished_run_then_the_lease_is_free_and_the_row_has_the_result(rotations: Rotations) -> None:
    token = claim(rotations)

    assert rotations.finish(token, generation=8, rotated_at=T0 + 1, result="rotated")

    assert rotations.find() == Rotation(8, token, T0 + 1, None, None, None, "rotated")
    assert claim(rotations, "b") == token + 1


def test_given_a_greater_token_then_an_earlier_run_changes_nothing(rotations: Rotations) -> None:
    earlier = claim(rotations)
    claim(rotations)

    assert not rotations.finish(earlier, generation=8, rotated_at=T0, result="rotated")
    assert rotations.find().generation == 0


def test_given_a_run_that_reached_no_node_then_the_generation_is_kept(rotations: Rotations) -> None:
    rotations.finish(claim(rotations), generation=8, rotated_at=T0, result="rotated")

    rotations.finish(claim(rotations), generation=0, rotated_at=None, result="unreachable")

    row = rotations.find()
    assert (row.generation, row.rotated_at, row.result) == (8, T0, "unreachable")


def test_given_no_rotation_yet_then_none_is_due(rotations: Rotations) -> None:
    assert rotations.find() == Rotation()
    assert request(rotations, T0) is None


def test_given_an_interval_then_a_rotation_is_requested_once_and_again_after_a_lease(
    rotations: Rotations,
) -> None:
    rotations.finish(claim(rotations), generation=8, rotated_at=T0, result="rotated")

    assert request(rotations, T0 + INTERVAL - 1) is None
    row = request(rotations, T0 + INTERVAL)
    assert row is not None
    assert (row.generation, row.fencing_token) == (8, 1)
    assert request(rotations, T0 + INTERVAL + LEASE - 1) is None
    assert request(rotations, T0 + INTERVAL + LEASE) is not None

    rotations.finish(claim(rotations), generation=9, rotated_at=T0 + 2 * INTERVAL, result="rotated")
    assert request(rotations, T0 + 3 * INTERVAL) is not None
