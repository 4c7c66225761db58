"""Stock Celery with the guarantees of Bulkhead: quorum queue, confirms, late acknowledgement."""

import os

from celery import Celery
from kombu import Connection, Exchange, Queue

from benchmarks.peers import BROKER_URL, Peer, tick

QUEUE = "stock"

app = Celery("stock", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get(BROKER_URL),
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
    task_queues=[Queue(QUEUE, Exchange(QUEUE, "topic"), QUEUE, queue_arguments={"x-queue-type": "quorum"})],
    task_default_queue=QUEUE,
    task_default_exchange=QUEUE,
    task_default_exchange_type="topic",
    task_default_routing_key=QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_detect_quorum_queues=True,
)


@app.task(name="noop")
def noop() -> None:
    """Do nothing."""
    tick()


def fill(count: int) -> None:
    """Publish with confirms over one connection."""
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            noop.apply_async(producer=producer)


def clear() -> None:
    """Empty the queue."""
    with Connection(os.environ[BROKER_URL]) as connection, connection.channel() as channel:
        channel.queue_purge(QUEUE)


PEER = Peer("celery", ("-m", "celery", "-A", __name__, "worker", "-c", "1", "-l", "WARNING"), fill, clear)
