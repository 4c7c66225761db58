"""Receives progress messages: one exclusive, transient queue per web process, consumed in one thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu import Consumer
from pydantic import ValidationError

from tasks.messaging.connections import BROKER_ERRORS, connect
from tasks.messaging.progress import ProgressMessage
from tasks.messaging.topology import progress_queue

CONNECT_TIMEOUT = 2.0  # seconds
POLL_TIMEOUT = 1.0  # seconds between two checks whether to stop
RECONNECT_DELAY = 1.0  # seconds before a reconnect

logger = logging.getLogger(__name__)


class ProgressListener(threading.Thread):
    """Calls `on_progress` in its own thread for every progress message, and reconnects after failures.

    Messages that are missed while the broker is unavailable do no harm: the ledger has the state of every job.
    """

    def __init__(self, app: Celery, on_progress: Callable[[ProgressMessage], None]) -> None:
        super().__init__(name="progress-listener", daemon=True)
        self._app = app
        self._on_progress = on_progress
        self._stopping = threading.Event()
        self._is_receiving = True

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except BROKER_ERRORS as error:
                if self._is_receiving:  # once for each outage
                    logger.warning("Progress messages are missed until the broker answers: %s", error)
                self._is_receiving = False
                self._stopping.wait(RECONNECT_DELAY)

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=2 * POLL_TIMEOUT)

    def _listen(self) -> None:
        broker = connect(self._app, CONNECT_TIMEOUT)
        try:
            queue = progress_queue(f"progress.{os.uname().nodename}.{os.getpid()}.{uuid4().hex[:8]}")
            with Consumer(broker.connection, [queue], callbacks=[self._on_message], accept=["json"], no_ack=True):
                if not self._is_receiving:
                    logger.info("Progress messages are received again.")
                self._is_receiving = True
                while not self._stopping.is_set():
                    with suppress(TimeoutError):
                        broker.connection.drain_events(timeout=POLL_TIMEOUT)
                    broker.connection.heartbeat_check()
        finally:
            broker.drop()

    def _on_message(self, body: Any, _message: object) -> None:
        with suppress(ValidationError):  # a message of a newer worker; the ledger has the state
            self._on_progress(ProgressMessage.model_validate(body))
