"""Publishing: a message is sent when the broker has confirmed it, or an error says that it may not have been.

publisher = Publisher(app, timeout=1.5)
publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"))
"""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any, TypeVar

from amqp.exceptions import MessageNacked
from celery import Celery
from kombu import Queue

from tasks.connect import BROKER_ERRORS, Line, connect
from tasks.topology import DEAD_QUEUES, QUEUES, ROUTES

T = TypeVar("T")

# Seconds; zero would mean "do not block" to a socket.
LEAST_TIMEOUT = 0.05


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
        self._idle: LifoQueue[Line] = LifoQueue()

    def publish(self, task: str, job_id: str, message: dict[str, Any]) -> None:
        """Send `message` as the keyword arguments of `task`. Raises BrokerUnavailable or QueueFull."""
        queue = queue_of(task)

        def send(line: Line, timeout: float) -> None:
            self._app.send_task(
                task,
                kwargs=message,
                task_id=job_id,
                producer=line.producer,
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

        def count(line: Line, _timeout: float) -> int:
            bound = next(known for known in QUEUES if known.name == queue)(line.producer.channel)
            bound.declare()
            return int(bound.queue_declare(passive=True).message_count)

        return self._run(count)

    def close(self) -> None:
        """Close every idle connection."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _run(self, work: Callable[[Line, float], T]) -> T:
        deadline = self._clock() + self._timeout
        while True:
            line, reused = self._borrow(deadline)
            try:
                answer = work(line, self._remaining(deadline))
            except MessageNacked as error:
                line.drop()
                raise QueueFull from error
            except BROKER_ERRORS as error:
                # Never use it again: a confirm that comes late would be taken for the next message's.
                line.drop()
                if not reused or self._clock() >= deadline:
                    raise BrokerUnavailable(error) from error
            except BaseException:
                line.drop()
                raise
            else:
                self._idle.put(line)
                return answer

    def _borrow(self, deadline: float) -> tuple[Line, bool]:
        with suppress(Empty):
            return self._idle.get_nowait(), True
        try:
            return connect(self._app, self._remaining(deadline)), False
        except BROKER_ERRORS as error:
            raise BrokerUnavailable(error) from error

    def _remaining(self, deadline: float) -> float:
        return max(LEAST_TIMEOUT, deadline - self._clock())


def queue_of(task: str) -> Queue:
    """The queue a task travels through. Raises KeyError for a task of no route."""
    name = ROUTES[f"{task.split('.')[0]}.*"]
    return next(queue for queue in QUEUES if queue.name == name)
