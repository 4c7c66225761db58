"""Queues, dead letters and routes fit together."""

import pytest

from tasks import celeryconfig, maintenance, renders
from tasks.messaging import topology
from tasks.messaging.publisher import default_queue, may_use_queue


@pytest.mark.parametrize(
    ("task", "queue"), [(renders.TASK, topology.RENDER), (maintenance.SWEEP_TASK, topology.MAINTENANCE)]
)
def test_every_task_has_a_queue_that_workers_declare(task: str, queue: str) -> None:
    assert default_queue(task).name == queue
    assert default_queue(task) in celeryconfig.task_queues


def test_a_task_of_no_route_has_no_queue() -> None:
    with pytest.raises(KeyError):
        default_queue("nothing.known")


def test_every_route_leads_to_a_declared_queue_by_its_own_name() -> None:
    declared = {queue.name: queue for queue in topology.QUEUES}

    assert {queue for queues in topology.TASK_QUEUES.values() for queue in queues} == set(declared)
    assert all(queue.routing_key == name for name, queue in declared.items())
    queues = {route["queue"] for route in celeryconfig.task_routes.values()}
    assert queues == {topology.RENDER, topology.MAINTENANCE, topology.TICKETS, topology.WEBHOOKS}


def test_a_render_may_come_through_every_lane_and_a_sweep_through_none() -> None:
    assert [may_use_queue(renders.TASK, queue) for queue in topology.RENDER_QUEUES] == [True, True, True]
    assert not any(may_use_queue(maintenance.SWEEP_TASK, queue) for queue in topology.RENDER_QUEUES)
    assert not may_use_queue(renders.TASK, topology.MAINTENANCE)


def test_every_work_queue_is_replicated_bounded_in_deliveries_and_has_its_dead_letters_kept() -> None:
    dead = {queue.routing_key: queue for queue in topology.DEAD_QUEUES}
    for queue in topology.WORK_QUEUES:
        arguments = queue.queue_arguments  # type: ignore[attr-defined]
        assert arguments["x-queue-type"] == "quorum"
        assert arguments["x-delivery-limit"] == topology.DELIVERY_LIMIT
        assert arguments["x-dead-letter-exchange"] == dead[queue.name].exchange.name
        assert arguments["x-dead-letter-routing-key"] == queue.name
        # RabbitMQ moves a letter at least once only if the queue also rejects what does not fit.
        assert (arguments["x-dead-letter-strategy"], arguments["x-overflow"]) == ("at-least-once", "reject-publish")
        assert dead[queue.name].name == f"{queue.name}.dead"
        assert dead[queue.name].durable
        assert queue.durable


def test_progress_is_told_under_the_tenant_and_the_job_and_kept_by_nobody() -> None:
    queue = topology.progress_queue("ear")

    assert topology.progress_routing_key("acme", "job-1") == "progress.acme.job-1"
    assert (queue.routing_key, queue.durable, queue.exclusive) == ("progress.#", False, True)


def test_heartbeats_go_to_a_stream_that_cannot_fill_the_disk() -> None:
    queue = topology.heartbeats_stream()
    arguments = queue.queue_arguments  # type: ignore[attr-defined]

    assert (queue.name, queue.routing_key, queue.durable) == ("heartbeats", "heartbeats", True)
    assert arguments["x-queue-type"] == "stream"
    # Whole segments go: with fewer than some dozens of them a reader would lose much at once.
    assert arguments["x-max-length-bytes"] >= 32 * arguments["x-stream-max-segment-size-bytes"]
