"""What Prometheus hears of a window, and of records that wait for one."""

import time

from workers.heartbeats.machine import Machine
from workers.heartbeats.metrics import CoalescerMetrics
from workers.heartbeats.sink import Flush, FlushResult
from workers.heartbeats.sources import Position


def test_given_windows_that_were_written_then_they_are_counted() -> None:
    metrics = CoalescerMetrics()
    flush = Flush([Machine("ulm", "a"), Machine("ulm", "b")], {}, {0: Position(9, 1), 3: Position(4, 1)}, 70, 1.0, 0.0)

    metrics.observe_flush(flush, FlushResult(0.25, retries=2, rejected_rows=1), {"repeated": 5, "malformed": 0})
    metrics.observe_flush(flush, FlushResult(0.25, retries=0, rejected_rows=0), {"repeated": 1})

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"bulkhead_heartbeats_{name}", labels)

    assert value("beats_total") == 140
    assert value("left_out_total", reason="repeated") == 6
    assert (value("position", partition="0"), value("position", partition="3")) == (9, 4)
    assert (value("flush_seconds_sum"), value("flush_seconds_count")) == (0.5, 2)
    assert (value("flush_machines"), value("refused_rows_total"), value("flush_retries_total")) == (2, 1, 2)


def test_given_records_that_cannot_be_written_then_the_lag_grows_and_is_over_once_they_are() -> None:
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
