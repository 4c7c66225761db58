"""Publishing: a message is sent when the broker has confirmed it, or an error says that it may not have been.

publisher = Publisher(app, timeout=1.5)
publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"))
"""

from typing import Any

from celery import Celery
from kombu import Queue

from tasks.broker import BrokerUnavailable, Line, Lines, NotPublished, QueueFull
from tasks.topology import DEAD_QUEUES, QUEUES, ROUTES

__all__ = ["BrokerUnavailable", "NotPublished", "Publisher", "QueueFull", "queue_of"]


class Publisher:
    """Publishes task messages with confirms. Safe to share between threads.

    `timeout` is the number of seconds a call may take in all. The same job id may be published again after an error: a
    message too many is recognised by the worker's claim.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._lines = Lines(app, timeout)

    def publish(self, task: str, job_id: str, message: dict[str, Any]) -> None:
        """Send `message` as the keyword arguments of `task`. Raises BrokerUnavailable or QueueFull."""
        queue = queue_of(task)
        entities = [queue, *(dead for dead in DEAD_QUEUES if dead.routing_key == queue.routing_key)]

        def send(line: Line, timeout: float) -> None:
            self._app.send_task(
                task,
                kwargs=message,
                task_id=job_id,
                producer=line.producer,
                declare=entities,
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
                ignore_result=True,
                add_to_parent=False,
            )

        self._lines.run(send)

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue. Raises BrokerUnavailable."""
        known = next(known for known in QUEUES if known.name == queue)

        def count(line: Line, _timeout: float) -> int:
            bound = known(line.producer.channel)
            bound.declare()
            return int(bound.queue_declare(passive=True).message_count)

        return self._lines.run(count)

    def close(self) -> None:
        """Close every idle connection."""
        self._lines.close()


def queue_of(task: str) -> Queue:
    """The queue a task travels through. Raises KeyError for a task of no route."""
    name = ROUTES[f"{task.split('.')[0]}.*"]
    return next(queue for queue in QUEUES if queue.name == name)
