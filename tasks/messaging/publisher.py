"""Publishing: a message is sent when the broker has confirmed it, or an error says that it may not have been.

publisher = Publisher(app, timeout=1.5)
publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"), queue=TILES)
"""

from typing import Any

from celery import Celery
from kombu import Queue

from tasks.messaging.connections import BrokerUnavailable, ConnectionPool, PublisherConnection, PublishError, QueueFull
from tasks.messaging.topology import DEAD_QUEUES, QUEUES, ROUTES, TASK_QUEUES

__all__ = ["BrokerUnavailable", "PublishError", "Publisher", "QueueFull", "default_queue", "may_use_queue"]


class Publisher:
    """Publishes task messages with confirms. Safe to share between threads.

    `timeout` is the number of seconds a call may take in all. The same job id may be published again after an error: a
    message too many is recognised by the worker's claim.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._pool = ConnectionPool(app, timeout)

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:
        """Send `message` as the keyword arguments of `task`, through its usual queue unless told otherwise.

        Raises BrokerUnavailable or QueueFull.
        """
        through = _queue(queue) if queue else default_queue(task)
        entities = [through, *(dead for dead in DEAD_QUEUES if dead.routing_key == through.routing_key)]

        def send(line: PublisherConnection, timeout: float) -> None:
            self._app.send_task(
                task,
                kwargs=message,
                task_id=job_id,
                queue=through.name,
                producer=line.producer,
                declare=entities,
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
                ignore_result=True,
                add_to_parent=False,
            )

        self._pool.run(send)

    def queue_depth(self, queue: str) -> int:
        """How many messages wait in a queue. Raises BrokerUnavailable."""
        known = _queue(queue)

        def count(line: PublisherConnection, _timeout: float) -> int:
            bound = known(line.producer.channel)
            bound.declare()
            return int(bound.queue_declare(passive=True).message_count)

        return self._pool.run(count)

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()


def default_queue(task: str) -> Queue:
    """The queue a task usually travels through. Raises KeyError for a task of no route."""
    return _queue(ROUTES[_pattern(task)])


def may_use_queue(task: str, queue: str) -> bool:
    """Whether a task may come through a queue. Raises KeyError for a task of no route."""
    return queue in TASK_QUEUES[_pattern(task)]


def _pattern(task: str) -> str:
    return f"{task.split('.')[0]}.*"


def _queue(name: str) -> Queue:
    return next(queue for queue in QUEUES if queue.name == name)
