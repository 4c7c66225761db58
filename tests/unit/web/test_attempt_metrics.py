"""Metrics of finished attempts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tasks.jobs import EndedAttempt, Outcome
from web import attempt_metrics
from web.attempt_metrics import OVERLAP, AttemptMetrics

NOW = 1_000_000.0


def attempt(number: int, ended_at: float, cause: str = "", **facts: float) -> EndedAttempt:
    outcome = Outcome.CRASHED if cause else Outcome.SUCCEEDED
    return EndedAttempt("job", number, ended_at, outcome, cause, facts)


def reader(attempts: Sequence[EndedAttempt]) -> Callable[[float, int], Sequence[EndedAttempt]]:
    """What the ledger answers."""
    return lambda since, limit: sorted(
        (each for each in attempts if each.ended_at >= since), key=lambda each: each.ended_at
    )[:limit]


def test_given_finished_attempts_then_they_are_counted_by_outcome_and_cause_and_their_facts_are_observed() -> None:
    registry = CollectorRegistry()
    metrics = AttemptMetrics(registry, NOW)

    metrics.update(
        reader(
            [
                attempt(1, NOW + 1, "out-of-memory", peak_bytes=500 * 1024**2),
                attempt(2, NOW + 2, peak_bytes=100 * 1024**2, seconds=0.3),
                attempt(3, NOW + 3),
            ]
        )
    )

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("bulkhead_attempts_total", outcome="crashed", cause="out-of-memory") == 1
    assert value("bulkhead_attempts_total", outcome="succeeded", cause="") == 2
    assert value("bulkhead_attempt_peak_memory_bytes_count") == 2
    assert value("bulkhead_attempt_peak_memory_bytes_bucket", le="1.34217728e+08") == 1
    assert value("bulkhead_attempt_duration_seconds_sum") == 0.3


def test_given_nothing_yet_then_the_usual_outcomes_are_zero_so_that_their_first_increase_is_seen() -> None:
    registry = CollectorRegistry()
    AttemptMetrics(registry, NOW)

    for outcome, cause in (("succeeded", ""), ("failed", ""), ("crashed", "out-of-memory")):
        assert registry.get_sample_value("bulkhead_attempts_total", {"outcome": outcome, "cause": cause}) == 0


def test_given_attempts_that_become_visible_late_then_each_is_counted_once() -> None:
    registry = CollectorRegistry()
    metrics = AttemptMetrics(registry, NOW)
    known = [attempt(1, NOW + 10)]
    metrics.update(reader(known))
    known += [attempt(2, NOW + 10 - OVERLAP / 2), attempt(3, NOW + 11)]
    for _ in range(3):
        metrics.update(reader(known))

    assert registry.get_sample_value("bulkhead_attempts_total", {"outcome": "succeeded", "cause": ""}) == 3


def test_given_several_processes_then_an_attempt_is_counted_by_one_of_them(tmp_path: Path) -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    first, second = (AttemptMetrics(registry, NOW, tmp_path) for registry in registries)
    known = [attempt(1, NOW + 1)]
    first.update(reader(known))
    known.append(attempt(2, NOW + 2))
    second.update(reader(known))
    first.update(reader(known))

    labels = {"outcome": "succeeded", "cause": ""}
    assert [registry.get_sample_value("bulkhead_attempts_total", labels) for registry in registries] == [1, 1]


def test_given_a_ledger_that_fails_then_nothing_is_lost(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = AttemptMetrics(registry, NOW, tmp_path)

    def fails(since: float, limit: int) -> Sequence[EndedAttempt]:
        raise ConnectionError(since, limit)

    with pytest.raises(ConnectionError):
        metrics.update(fails)
    metrics.update(reader([attempt(1, NOW + 1)]))

    assert registry.get_sample_value("bulkhead_attempts_total", {"outcome": "succeeded", "cause": ""}) == 1


def test_given_more_attempts_than_are_read_at_a_time_then_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_metrics, "PAGE_SIZE", 3)
    registry = CollectorRegistry()
    metrics = AttemptMetrics(registry, NOW)
    known = [attempt(number, NOW + number) for number in range(10)]

    metrics.update(reader(known))
    metrics.update(reader([*known, attempt(10, NOW + 10)]))

    assert registry.get_sample_value("bulkhead_attempts_total", {"outcome": "succeeded", "cause": ""}) == 11
