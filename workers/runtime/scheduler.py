"""The clock (named in the setting `beat_scheduler`): sends what is due. Of those on all hosts exactly one does.

Which one RabbitMQ decides: whoever declares the exclusive queue first holds it, until its connection ends. The others
ask again at every tick, so that one of them takes over within seconds. A clock that is cut off from the broker can send
nothing either; should two overlap for a moment, a sweep too many does no harm.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from amqp.exceptions import ResourceLocked
from celery import Celery
from celery.beat import Scheduler
from celery.utils.log import get_logger
from kombu import Connection

from tasks.messaging.connections import BROKER_ERRORS

logger = get_logger(__name__)

LOCK_QUEUE = "clock"

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class BrokerLock:
    """An exclusive queue of the broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None

    def acquire_or_renew(self) -> bool:
        """Whether it is ours: taken if it is free, and kept alive. Ask more often than twice a heartbeat."""
        try:
            if self._connection is None:
                self._connection = self._acquire()
            self._connection.heartbeat_check()
            with suppress(TimeoutError):  # read what the broker's heartbeats left
                self._connection.drain_events(timeout=0.01)
        except ResourceLocked:
            self.release()
        except BROKER_ERRORS as error:
            logger.warning("The clock waits for the broker: %s", error)
            self.release()
        return self._connection is not None

    def release(self) -> None:
        """Let another one have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*BROKER_ERRORS):
                connection.release()

    def _acquire(self) -> Connection:
        # Without heartbeats the broker would never learn that a host has gone down, and keep the queue for it for good.
        connection: Connection = self._app.connection_for_write(heartbeat=self._app.conf.broker_heartbeat)
        try:
            connection.default_channel.queue_declare(LOCK_QUEUE, exclusive=True, durable=False, auto_delete=False)
        except BaseException:
            connection.release()
            raise
        logger.info("This clock sends from now on.")
        return connection


class SingletonScheduler(Scheduler):
    """Celery's scheduler, in memory. It knows nothing of the one before it: once it sends, everything is due."""

    def __init__(self, app: Celery, *args: Any, **kwargs: Any) -> None:
        self._lock = BrokerLock(app)
        self._is_active = False
        super().__init__(app, *args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, if it is ours to send. Seconds until the next look."""
        sent, self._is_active = self._is_active, self._lock.acquire_or_renew()
        if not self._is_active:
            return float(self.max_interval)
        if not sent:
            for entry in self.schedule.values():
                entry.last_run_at = LONG_AGO
            self._heap = None  # Celery's order of what is due next
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        """End."""
        self._lock.release()
        super().close()
