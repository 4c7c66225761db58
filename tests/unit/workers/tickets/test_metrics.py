"""Metrics of the fleet monitor."""

from dataclasses import replace

from prometheus_client import generate_latest

from workers.tickets.metrics import TicketMetrics
from workers.tickets.rotation import NodeStatus
from workers.tickets.rotator import RunReport

CURRENT = NodeStatus(("b", "c", "d"), 80, 42, 371.0, haproxy_running=True, token=9, owner="jump", newest_generation=42)


def samples(metrics: TicketMetrics) -> set[str]:
    return {line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")}


def test_given_a_status_and_a_run_then_every_node_has_generation_age_and_missing_keys() -> None:
    metrics = TicketMetrics(lambda: 1000.0)
    behind = replace(CURRENT, key_names=("a", "b", "c"), generation=41)

    metrics.observe_status(RunReport(statuses={"edge1": CURRENT, "edge2": behind}, unreachable={"edge3": "refused"}))
    metrics.observe_run("caught-up")

    assert samples(metrics) >= {
        'bulkhead_tickets_up{node="edge1"} 1.0',
        'bulkhead_tickets_up{node="edge3"} 0.0',
        'bulkhead_tickets_generation{node="edge2"} 41.0',
        'bulkhead_tickets_missing_keys{node="edge1"} 0.0',
        'bulkhead_tickets_missing_keys{node="edge2"} 1.0',
        'bulkhead_tickets_key_age_seconds{node="edge1"} 371.0',
        "bulkhead_tickets_generation_spread 1.0",
        'bulkhead_tickets_last_result{result="caught-up"} 1.0',
        "bulkhead_tickets_last_run_timestamp_seconds 1000.0",
    }


def test_given_a_removed_node_then_its_metrics_disappear() -> None:
    metrics = TicketMetrics(lambda: 1000.0)
    metrics.observe_status(RunReport(statuses={"edge1": CURRENT, "edge2": CURRENT}))

    metrics.observe_status(RunReport(statuses={"edge1": CURRENT}))

    assert not any("edge2" in line for line in samples(metrics))
