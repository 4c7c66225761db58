"""The scheduler (the setting `beat_scheduler` names it): publishes periodic tasks from exactly one of all hosts.

An exclusive queue is the lock: the scheduler that declares it first is active until its connection closes. The others
try again at each tick, so that one of them takes over within seconds. A scheduler without a connection cannot publish
either. If two are active for a moment, an additional maintenance task does no harm.
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

LOCK_QUEUE = "scheduler"

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class BrokerLock:
    """A lock held by declaring an exclusive queue."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None

    def acquire_or_renew(self) -> bool:
        """Acquire the lock if it is free, or keep its connection alive; returns whether this process holds it.

        Call it more often than twice per heartbeat interval.
        """
        try:
            if self._connection is None:
                self._connection = self._acquire()
            self._connection.heartbeat_check()
            with suppress(TimeoutError):  # read pending heartbeats of the broker
                self._connection.drain_events(timeout=0.01)
        except ResourceLocked:
            self.release()
        except BROKER_ERRORS as error:
            logger.warning("The scheduler is waiting for the broker: %s", error)
            self.release()
        return self._connection is not None

    def release(self) -> None:
        """Release the lock for another scheduler."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*BROKER_ERRORS):
                connection.release()

    def _acquire(self) -> Connection:
        # Without heartbeats the broker would not detect that a host is down and would keep its queue forever.
        connection: Connection = self._app.connection_for_write(heartbeat=self._app.conf.broker_heartbeat)
        try:
            connection.default_channel.queue_declare(LOCK_QUEUE, exclusive=True, durable=False, auto_delete=False)
        except BaseException:
            connection.release()
            raise
        logger.info("This scheduler is active.")
        return connection


class SingletonScheduler(Scheduler):
    """Celery's in-memory scheduler. It does not know its predecessor, so all tasks are due when it becomes active."""

    def __init__(self, app: Celery, *args: Any, **kwargs: Any) -> None:
        self._lock = BrokerLock(app)
        self._is_active = False
        super().__init__(app, *args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Publish due tasks if this scheduler is active. Returns seconds until the next tick."""
        was_active, self._is_active = self._is_active, self._lock.acquire_or_renew()
        if not self._is_active:
            return float(self.max_interval)
        if not was_active:
            for entry in self.schedule.values():
                entry.last_run_at = LONG_AGO
            self._heap = None  # Celery's queue of due times
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        """Release the lock and stop."""
        self._lock.release()
        super().close()
