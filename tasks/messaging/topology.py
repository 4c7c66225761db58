"""Exchanges, queues, dead-letter queues and routes, defined once for publishers, workers, the PHP bridge and docs.

    publisher --> exchange `bulkhead` --routing key = queue--> `render` --> worker
                                                                 | rejected, or delivery limit exceeded
                                                                 v
                          exchange `bulkhead.dead` --same key--> `render.dead` --> `bulkhead dead list`

Renders have three such queues; `tasks.jobs.routing` decides which of them a render uses.

Messages are dead-lettered at least once (`at-least-once` requires `reject-publish`), so that none is lost on the way.
"""

from typing import Any

from kombu import Exchange, Queue

EXCHANGE = Exchange("bulkhead", type="topic", durable=True)
DEAD_EXCHANGE = Exchange("bulkhead.dead", type="topic", durable=True)

# Backstop for a message that never reaches a claim; otherwise the ledger counts crashes and decides. The limit is high
# because every lost connection counts towards it as well.
DELIVERY_LIMIT = 20

# Listing a dead letter counts as a delivery, and RabbitMQ 4 deletes a message after 20 deliveries by default.
PEEK_DELIVERY_LIMIT = 1_000_000

RENDER = "render"
TILES = "render.tiles"
LARGE = "render.large"
RENDER_QUEUES = (RENDER, TILES, LARGE)

MAINTENANCE = "maintenance"
WEBHOOKS = "webhooks"

TICKETS = "tickets"

# Milliseconds after which a sweep that no worker has taken expires: the next one replaces it.
MAINTENANCE_TTL = 60_000

PROGRESS_ROUTING_PREFIX = "progress"

HEARTBEATS = "heartbeats"

# Maximum size of the stream, bytes: over an hour of heartbeats of 4,500 machines at one per second and 200 bytes each.
# A reader must be back within that time. RabbitMQ deletes the oldest segment as a whole.
STREAM_MAX_BYTES = 4 * 1024**3
STREAM_SEGMENT_BYTES = 64 * 1024**2


def work_queue(name: str) -> Queue:
    """A durable, replicated queue that dead-letters to `<name>.dead`."""
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
    """The queue that holds the dead letters of queue `name`."""
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": PEEK_DELIVERY_LIMIT}
    return Queue(f"{name}.dead", DEAD_EXCHANGE, routing_key=name, durable=True, queue_arguments=arguments)


def retry_queue(name: str, delay: float) -> Queue:
    """The queue in which messages of the work queue `name` wait for `delay` seconds before they return to it.

    Each delay has a queue of its own, because messages expire only at the head of a queue. The delay is part of the
    name, because RabbitMQ refuses to redeclare a queue with other arguments.
    """
    milliseconds = round(delay * 1000)
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": milliseconds,
        "x-dead-letter-exchange": EXCHANGE.name,
        "x-dead-letter-routing-key": name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    own = f"{name}.retry.{milliseconds}"
    return Queue(own, EXCHANGE, routing_key=own, durable=True, queue_arguments=arguments)


def maintenance_queue() -> Queue:
    """The queue of maintenance tasks. It is bounded and its messages expire: the next sweep replaces a missed one."""
    arguments = {"x-message-ttl": MAINTENANCE_TTL, "x-max-length": 100, "x-queue-type": "classic"}
    return Queue(MAINTENANCE, EXCHANGE, routing_key=MAINTENANCE, durable=True, queue_arguments=arguments)


def progress_queue(name: str) -> Queue:
    """The queue on which a web process receives progress: exclusive, transient, deleted with its connection."""
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
    """Routing key of a job's progress messages."""
    return f"{PROGRESS_ROUTING_PREFIX}.{tenant}.{job}"


def heartbeats_stream() -> Queue:
    """The stream of heartbeats. Reading removes nothing; each reader keeps its own offset."""
    arguments = {
        "x-queue-type": "stream",
        "x-max-length-bytes": STREAM_MAX_BYTES,
        "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
    }
    return Queue(HEARTBEATS, EXCHANGE, routing_key=HEARTBEATS, durable=True, queue_arguments=arguments)


WORK_QUEUES = tuple(work_queue(name) for name in (*RENDER_QUEUES, TICKETS, WEBHOOKS))
DEAD_QUEUES = tuple(dead_queue(queue.name) for queue in WORK_QUEUES)
QUEUES = (*WORK_QUEUES, maintenance_queue())

# Task name pattern -> the queues through which it may arrive, the default first. Workers reject it on any other.
TASK_QUEUES = {
    "render.*": RENDER_QUEUES,
    "maintenance.*": (MAINTENANCE,),
    "tickets.*": (TICKETS,),
    "webhooks.*": (WEBHOOKS,),
}
ROUTES = {pattern: queues[0] for pattern, queues in TASK_QUEUES.items()}
