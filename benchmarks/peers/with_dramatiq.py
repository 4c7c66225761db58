"""Dramatiq on RabbitMQ: one process, one thread, confirms. Its queues are classic ones."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.peers import BROKER_URL, Peer, tick

# Kombu writes the default virtual host as a second slash; pika omits it.
broker = RabbitmqBroker(url=os.environ.get(BROKER_URL, "").removesuffix("/"), confirm_delivery=True)


@dramatiq.actor(broker=broker, queue_name="dramatiq")
def noop() -> None:
    """Do nothing."""
    tick()


def fill(count: int) -> None:
    """Publish with confirms."""
    for _ in range(count):
        noop.send()


def clear() -> None:
    """Empty the queue."""
    broker.flush_all()


PEER = Peer("dramatiq", ("-m", "dramatiq", f"{__name__}:broker", "-p", "1", "-t", "1"), fill, clear)
