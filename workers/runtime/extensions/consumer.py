"""Celery's consumer with message validation (the setting `worker_consumer` names it)."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.utils.log import get_logger
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Connection, Message

from tasks.messaging.compatibility import tolerate_malformed_properties
from tasks.messaging.connections import BROKER_ERRORS, PublishError
from tasks.messaging.dead_letters import DeadLetters
from tasks.messaging.topology import DEAD_QUEUES
from tasks.settings import settings
from workers.runtime.extensions.message_validation import validate_message
from workers.runtime.extensions.watchdog import Watchdog
from workers.runtime.worker_zygote import keep_running

logger = get_logger(__name__)

# Seconds for which task events are buffered. Celery would publish a message in each iteration of its event loop, which
# takes a third of the parent's CPU time when tasks are short.
EVENT_FLUSH_INTERVAL = 0.2


class Consumer(CeleryConsumer):
    """Passes valid messages to Celery and dead-letters all others."""

    class Blueprint(CeleryConsumer.Blueprint):
        """Celery's steps without delayed delivery: it declares dozens of exchanges, and our messages have no eta."""

        default_steps = tuple(step for step in CeleryConsumer.Blueprint.default_steps if "delayed_delivery" not in step)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dead_letters = DeadLetters(self.app, settings().publish_timeout)
        self._flush_due = False
        self._watchdog = Watchdog()

    def on_ready(self) -> None:
        """Report to systemd that the worker consumes messages."""
        super().on_ready()
        self._watchdog.ready(self.hub)
        keep_running(self.hub)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Wait for the connection, and tell systemd every second that this process is alive."""
        ensure = conn.ensure_connection

        def ensure_and_notify(errback: Callable[..., None], retries: int, callback: Callable[[], None]) -> Connection:
            def each_second() -> None:
                self._watchdog.waiting_for_broker()
                callback()

            connected: Connection = ensure(errback, retries, callback=each_second)  # type: ignore[no-untyped-call]
            return connected

        conn.ensure_connection = ensure_and_notify  # type: ignore[method-assign]
        connected: Connection = super().ensure_connected(conn)
        return connected

    def connect(self) -> Connection:
        """Open the consumers' connection, which leaves bodies undecoded, and declare the dead-letter queues."""
        tolerate_malformed_properties()
        connection: Connection = super().connect()
        for queue in DEAD_QUEUES:
            queue(connection.default_channel).declare()
        connection.default_channel.auto_decode = False  # type: ignore[attr-defined]  # a channel of py-amqp
        return connection

    def connection_for_write(self, url: str | None = None, heartbeat: int | None = None) -> Connection:
        """Open the connection for events, without publisher confirms: they would halve the worker's throughput."""
        unconfirmed = {"confirm_publish": False}
        connection: Connection = self.ensure_connected(
            self.app.connection_for_write(url=url, heartbeat=heartbeat, transport_options=unconfirmed)
        )
        return connection

    def on_send_event_buffered(self) -> None:
        """Schedule the publication of buffered events."""
        if self.hub and not self._flush_due:
            self._flush_due = True
            self.hub.call_later(EVENT_FLUSH_INTERVAL, self._flush_events)

    def _flush_events(self) -> None:
        self._flush_due = False
        super()._flush_events()

    def stop(self) -> None:
        """Publish buffered events, then stop."""
        self._watchdog.stopping()
        with suppress(*BROKER_ERRORS):
            self._flush_events()
        super().stop()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """The function that Celery calls with each message of a task queue."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Message) -> None:
            reason = validate_message(
                message.headers,
                message.body or b"",
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                routing_key=message.delivery_info["routing_key"],
            )
            if reason is None:
                handle(message)
            else:
                self._dead_letter(message, reason)

        return on_message

    def _dead_letter(self, message: Message, reason: str) -> None:
        queue = message.delivery_info["routing_key"]
        logger.error("Rejected a message on the queue %r: %s.", queue, reason)
        if not self._dead_letters.has_dead_letter_queue(queue):
            message.reject_log_error(logger, self.connection_errors)
            return
        try:
            self._dead_letters.add(message, queue, reason)
        except PublishError as error:
            logger.warning("The reason is not recorded in the dead letter: %s", error)
            message.reject_log_error(logger, self.connection_errors)
        else:
            message.ack_log_error(logger, self.connection_errors)
