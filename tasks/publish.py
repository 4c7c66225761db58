"""Publishing: a message is sent when the broker has confirmed it, or an error says that it may not have been.

publisher = Publisher(app, timeout=1.5)
publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"))
"""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any, TypeVar

from amqp.exceptions import AMQPError, MessageNacked
from celery import Celery
from kombu import Connection, Producer, Queue
from kombu.exceptions import KombuError

from tasks.topology import DEAD_QUEUES, QUEUES, ROUTES

T = TypeVar("T")


class NotPublished(Exception):
    """The broker did not confirm the message: it may or may not have been taken."""

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else self.__doc__)


class BrokerUnavailable(NotPublished):
    """The broker does not answer. Check BULKHEAD_BROKER_URL and the server, or run `bulkhead doctor`."""


class QueueFull(NotPublished):
    """The broker refused the message because its queue is full. Try again later."""


class Publisher:
    """Publishes task messages with confirms. Safe to share between threads; each call uses a connection of its own.

    `timeout` is the number of seconds a call may take in all. The same job id may be published again after an error: a
    message too many is recognised by the worker's claim.
    """

    def __init__(self, app: Celery, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._timeout = timeout
        self._clock = clock
        self._idle: LifoQueue[Producer] = LifoQueue()

    def publish(self, task: str, job_id: str, message: dict[str, Any]) -> None:
        """Send `message` as the keyword arguments of `task`. Raises BrokerUnavailable or QueueFull."""
        queue = queue_of(task)

        def send(producer: Producer, timeout: float) -> None:
            self._app.send_task(
                task,
                kwargs=message,
                task_id=job_id,
                producer=producer,
                declare=[queue, *(dead for dead in DEAD_QUEUES if dead.routing_key == queue.name)],
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
                ignore_result=True,
                add_to_parent=False,
            )

        self._run(send)

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue. Raises BrokerUnavailable."""

        def count(producer: Producer, _timeout: float) -> int:
            bound = next(known for known in QUEUES if known.name == queue)(producer.channel)
            bound.declare()
            return int(bound.queue_declare(passive=True).message_count)

        return self._run(count)

    def close(self) -> None:
        """Close every idle connection."""
        with suppress(Empty):
            while True:
                _discard(self._idle.get_nowait())

    def _run(self, work: Callable[[Producer, float], T]) -> T:
        deadline = self._clock() + self._timeout
        while True:
            producer, reused = self._borrow(deadline)
            try:
                answer = work(producer, max(0.05, deadline - self._clock()))
            except MessageNacked as error:
                _discard(producer)
                raise QueueFull from error
            except (AMQPError, KombuError, OSError) as error:
                # Never reuse it: a confirm that comes late would be taken for the next message's.
                _discard(producer)
                if not reused or self._clock() >= deadline:
                    raise BrokerUnavailable(error) from error
            except BaseException:
                _discard(producer)
                raise
            else:
                self._idle.put(producer)
                return answer

    def _borrow(self, deadline: float) -> tuple[Producer, bool]:
        with suppress(Empty):
            return self._idle.get_nowait(), True
        remaining = max(0.05, deadline - self._clock())
        connection: Connection = self._app.connection_for_write(connect_timeout=remaining)
        try:
            connection.ensure_connection(max_retries=1, timeout=remaining, reraise_as_library_errors=False)
            return self._app.amqp.Producer(connection, auto_declare=False), False
        except (AMQPError, KombuError, OSError) as error:
            connection.release()
            raise BrokerUnavailable(error) from error


def queue_of(task: str) -> Queue:
    """The queue a task travels through. Raises KeyError for a task of no route."""
    name = ROUTES[f"{task.split('.')[0]}.*"]
    return next(queue for queue in QUEUES if queue.name == name)


def _discard(producer: Producer) -> None:
    with suppress(AMQPError, KombuError, OSError):
        producer.connection.collapse()
