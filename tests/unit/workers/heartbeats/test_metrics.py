"""Metrics of windows that were written, and of records that were not."""

import time

from workers.heartbeats.machine import Machine
from workers.heartbeats.metrics import CoalescerMetrics
from workers.heartbeats.sink import Flush, FlushResult
from workers.heartbeats.sources import Position


def test_given_two_flushes_then_their_results_are_added_up() -> None:
    metrics = CoalescerMetrics()
    flush = Flush([Machine("ulm", "a"), Machine("ulm", "b")], {}, {0: Position(9, 1), 3: Position(4, 1)}, 70, 1.0, 0.0)

    metrics.observe_flush(flush, FlushResult(0.25, retries=2, rejected_rows=1), {"duplicate": 5, "malformed": 0})
    metrics.observe_flush(flush, FlushResult(0.25, retries=0, rejected_rows=0), {"duplicate": 1})

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"bulkhead_heartbeats_{name}", labels)

    assert value("written_total") == 140
    assert value("rejected_total", reason="duplicate") == 6
    assert (value("offset", partition="0"), value("offset", partition="3")) == (9, 4)
    assert (value("flush_duration_seconds_sum"), value("flush_duration_seconds_count")) == (0.5, 2)
    assert (value("flush_machines"), value("rejected_rows_total"), value("flush_retries_total")) == (2, 1, 2)


def test_given_unwritten_records_then_the_lag_grows_until_they_are_written() -> None:
    metrics = CoalescerMetrics()

    def lag() -> float:
        return metrics.registry.get_sample_value("bulkhead_heartbeats_lag_seconds") or 0.0

    assert lag() == 0
    metrics.set_oldest_unwritten(time.time() - 200)
    first = lag()
    assert first >= 200
    assert lag() > first
    metrics.set_oldest_unwritten(None)
    assert lag() == 0
