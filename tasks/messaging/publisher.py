"""Publishing with confirms: a message is accepted once the broker has confirmed it; otherwise an error is raised.

publisher = Publisher(app, timeout=1.5)
publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"), queue=TILES)
"""

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from tasks.messaging.connections import BrokerUnavailable, ConnectionPool, PublisherConnection, PublishError, QueueFull
from tasks.messaging.topology import DEAD_QUEUES, QUEUES, ROUTES, TASK_QUEUES

__all__ = ["BrokerUnavailable", "ConfirmedPublisher", "PublishError", "Publisher", "QueueFull"]


class ConfirmedPublisher:
    """Base of everything that publishes with confirms. Safe to share between threads.

    `timeout` is the number of seconds that a call may take. Every method that publishes raises BrokerUnavailable or
    QueueFull.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._pool = ConnectionPool(app, timeout)

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()

    def _publish(
        self, body: object, exchange: Exchange, routing_key: str, declare: Sequence[Queue], **properties: Any
    ) -> None:
        """Publish a persistent message and wait for its confirm. A message that no queue accepts is an error."""

        def send(connection: PublisherConnection, timeout: float) -> None:
            connection.producer.publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                declare=declare,
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
                **{"delivery_mode": "persistent", **properties},
            )

        self._pool.run(send)

    def _publish_task(
        self,
        task: str,
        task_id: str,
        message: dict[str, Any],
        exchange: Exchange,
        queue: Queue,
        *,
        declare: Sequence[Queue],
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Publish `message` as the keyword arguments of a Celery task."""
        celery = self._app.amqp.create_task_message(task_id, task, (), message, ignore_result=True)
        self._publish(
            celery.body,
            exchange,
            queue.routing_key,
            declare,
            serializer="json",
            headers={**celery.headers, **(headers or {})},
            **celery.properties,
        )


class Publisher(ConfirmedPublisher):
    """Publishes task messages.

    A job may be published again after an error: a worker recognises the duplicate when it claims the job.
    """

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:
        """Publish `message` as the keyword arguments of `task`, to the task's default queue unless `queue` is given."""
        target = _queue(queue) if queue else default_queue(task)
        declare = [target, *(dead for dead in DEAD_QUEUES if dead.routing_key == target.routing_key)]
        self._publish_task(task, job_id, message, target.exchange, target, declare=declare)

    def queue_depth(self, queue: str) -> int:
        """Number of messages that wait in a queue. Raises BrokerUnavailable."""
        known = _queue(queue)

        def count(connection: PublisherConnection, _timeout: float) -> int:
            bound = known(connection.producer.channel)
            bound.declare()
            return int(bound.queue_declare(passive=True).message_count)

        return self._pool.run(count)


def default_queue(task: str) -> Queue:
    """The queue that a task is published to by default. Raises KeyError for a task without a route."""
    return _queue(ROUTES[_pattern(task)])


def may_use_queue(task: str, queue: str) -> bool:
    """Whether a task may arrive through a queue. Raises KeyError for a task without a route."""
    return queue in TASK_QUEUES[_pattern(task)]


def _pattern(task: str) -> str:
    return f"{task.split('.')[0]}.*"


def _queue(name: str) -> Queue:
    return next(queue for queue in QUEUES if queue.name == name)
