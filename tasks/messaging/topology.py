"""Exchanges, queues, dead letters and routes: declared once, used by publisher, worker, PHP bridge and docs.

    publisher --> exchange `bulkhead` --routing key = queue--> `render` --> worker
                                                                 | rejected, or over the delivery limit
                                                                 v
                          exchange `bulkhead.dead` --same key--> `render.dead` --> `bulkhead dead list`

Renders have three such queues, the lanes; `tasks.jobs.routing` tells which one a render goes to.

A letter moves to the dead queue at least once (`at-least-once` needs `reject-publish`), so none is lost on the way.
"""

from typing import Any

from kombu import Exchange, Queue

EXCHANGE = Exchange("bulkhead", type="topic", durable=True)
DEAD_EXCHANGE = Exchange("bulkhead.dead", type="topic", durable=True)

# The ledger counts deaths and decides; this is the backstop for a message that never reaches a claim. It must be
# generous because every lost connection counts towards it, too.
DELIVERY_LIMIT = 20

# Looking at a dead letter counts as a delivery. RabbitMQ 4 deletes a letter after 20 of them unless told otherwise.
PEEK_DELIVERY_LIMIT = 1_000_000

RENDER = "render"
TILES = "render.tiles"
LARGE = "render.large"
RENDER_QUEUES = (RENDER, TILES, LARGE)

MAINTENANCE = "maintenance"
WEBHOOKS = "webhooks"

TICKETS = "tickets"

# A sweep that no worker took within this time (ms) is stale: the next one does its work.
MAINTENANCE_TTL = 60_000

PROGRESS_ROUTING_PREFIX = "progress"

HEARTBEATS = "heartbeats"

# Bytes of heartbeats that are kept, so that the disk cannot fill: over an hour of 4,500 machines that beat each second,
# 200 bytes a beat. Whoever reads must be back by then. The oldest segment goes as a whole.
STREAM_MAX_BYTES = 4 * 1024**3
STREAM_SEGMENT_BYTES = 64 * 1024**2


def work_queue(name: str) -> Queue:
    """A durable, replicated queue whose refused or overdelivered letters go to `<name>.dead`."""
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD_EXCHANGE.name,
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return Queue(name, EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)


def dead_queue(name: str) -> Queue:
    """Where the dead letters of queue `name` wait for `bulkhead dead`."""
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": PEEK_DELIVERY_LIMIT}
    return Queue(f"{name}.dead", DEAD_EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)


def retry_queue(name: str, delay: float) -> Queue:
    """Where letters of the work queue `name` wait so long before they come back: all of one length, so that none waits
    behind a longer one. The length is part of the name, for RabbitMQ refuses a queue declared differently."""
    milliseconds = round(delay * 1000)
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": milliseconds,
        "x-dead-letter-exchange": EXCHANGE.name,
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    own = f"{name}.wait.{milliseconds}"
    return Queue(own, EXCHANGE, routing_key=own, durable=True, queue_arguments=arguments)


def maintenance_queue() -> Queue:
    """Sweeps: short-lived and bounded, since a missed sweep is made good by the next one."""
    arguments = {"x-message-ttl": MAINTENANCE_TTL, "x-max-length": 100, "x-queue-type": "classic"}
    return Queue(MAINTENANCE, EXCHANGE, routing_key=MAINTENANCE, durable=True, queue_arguments=arguments)


def progress_queue(name: str) -> Queue:
    """One web process's own ear for progress: exclusive, transient, gone with its connection."""
    return Queue(
        name,
        EXCHANGE,
        routing_key=f"{PROGRESS_ROUTING_PREFIX}.#",
        durable=False,
        exclusive=True,
        auto_delete=True,
        max_length=10_000,
    )


def progress_routing_key(tenant: str, job: str) -> str:
    """Routing key under which a job's progress is told."""
    return f"{PROGRESS_ROUTING_PREFIX}.{tenant}.{job}"


def heartbeats_stream() -> Queue:
    """A log of the newest heartbeats: reading it takes nothing out, and a reader keeps its own offset."""
    arguments = {
        "x-queue-type": "stream",
        "x-max-length-bytes": STREAM_MAX_BYTES,
        "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
    }
    return Queue(HEARTBEATS, EXCHANGE, routing_key=HEARTBEATS, durable=True, queue_arguments=arguments)


WORK_QUEUES = tuple(work_queue(name) for name in (*RENDER_QUEUES, TICKETS, WEBHOOKS))
DEAD_QUEUES = tuple(dead_queue(queue.name) for queue in WORK_QUEUES)
QUEUES = (*WORK_QUEUES, maintenance_queue())

# Task name (or glob) -> the queues it may come through, the usual one first. A message on any other is refused.
TASK_QUEUES = {
    "render.*": RENDER_QUEUES,
    "maintenance.*": (MAINTENANCE,),
    "tickets.*": (TICKETS,),
    "webhooks.*": (WEBHOOKS,),
}
ROUTES = {pattern: queues[0] for pattern, queues in TASK_QUEUES.items()}
