"""Idempotency keys: one request of several gets the key."""

from __future__ import annotations

from collections import Counter
from functools import partial

from tasks.jobs import (
    Ledger,
)
from tasks.jobs.idempotency import ABANDONED_AFTER, Completed, InProgress, Reserved
from tests.contract.ledger.support import (
    T0,
    a_job,
    add_job,
    in_parallel,
)


def test_a_key_is_reserved_completed_and_released_by_tenant(ledger: Ledger) -> None:
    assert ledger.idempotency_keys.reserve("acme", "key", T0) == Reserved()
    assert ledger.idempotency_keys.reserve("acme", "key", T0) == InProgress()
    assert ledger.idempotency_keys.reserve("rival", "key", T0) == Reserved()
    assert ledger.idempotency_keys.reserve("acme", "KEY", T0) == Reserved()

    ledger.idempotency_keys.release("acme", "key")
    assert ledger.idempotency_keys.reserve("acme", "key", T0) == Reserved()

    job = add_job(ledger)
    ledger.idempotency_keys.complete("acme", "key", job=job.id, fingerprint="f" * 64)
    ledger.idempotency_keys.complete("acme", "key", job=a_job().id, fingerprint="e" * 64)
    assert ledger.idempotency_keys.reserve("acme", "key", T0 + ABANDONED_AFTER + 1) == Completed(job.id, "f" * 64)


def test_a_key_whose_web_process_died_expires(ledger: Ledger) -> None:
    ledger.idempotency_keys.reserve("acme", "key", T0)

    assert ledger.idempotency_keys.reserve("acme", "key", T0 + ABANDONED_AFTER) == InProgress()
    assert ledger.idempotency_keys.reserve("acme", "key", T0 + ABANDONED_AFTER + 1) == Reserved()


def test_given_20_threads_that_reserve_one_key_then_exactly_one_gets_it(ledger: Ledger) -> None:
    for number in range(5):
        key = f"key-{number}"
        answers = in_parallel(20, partial(lambda key, _number: ledger.idempotency_keys.reserve("acme", key, T0), key))

        assert Counter(map(type, answers)) == {Reserved: 1, InProgress: 19}
