"""Hears the workers' progress: one exclusive, transient queue a web process, read in one thread."""

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
POLL_TIMEOUT = 1.0  # seconds after which the thread looks whether it shall stop
RECONNECT_DELAY = 1.0  # seconds before the next connection is tried

logger = logging.getLogger(__name__)


class ProgressListener(threading.Thread):
    """Calls `hear` in its own thread for every progress message, and reconnects by itself.

    While the broker is away nothing is heard and nothing is lost that matters: the ledger knows the states.
    """

    def __init__(self, app: Celery, on_progress: Callable[[ProgressMessage], None]) -> None:
        super().__init__(name="progress-listener", daemon=True)
        self._app = app
        self._on_progress = on_progress
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except BROKER_ERRORS as error:
                logger.info("No progress is heard: %s", error)
                self._stopping.wait(RECONNECT_DELAY)

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=2 * POLL_TIMEOUT)

    def _listen(self) -> None:
        line = connect(self._app, CONNECT_TIMEOUT)
        try:
            queue = progress_queue(f"progress.{os.uname().nodename}.{os.getpid()}.{uuid4().hex[:8]}")
            with Consumer(line.connection, [queue], callbacks=[self._on_message], accept=["json"], no_ack=True):
                while not self._stopping.is_set():
                    with suppress(TimeoutError):
                        line.connection.drain_events(timeout=POLL_TIMEOUT)
                    line.connection.heartbeat_check()
        finally:
            line.drop()

    def _on_message(self, body: Any, _message: object) -> None:
        with suppress(ValidationError):  # a newer worker's message: the ledger has what counts
            self._on_progress(ProgressMessage.model_validate(body))
