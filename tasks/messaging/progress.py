"""Progress messages from workers to subscribers. They are transient and unconfirmed: losing one does no harm."""

import time
from collections.abc import Callable
from typing import Literal

from celery import Celery
from pydantic import BaseModel, ConfigDict, Field

from tasks.messaging.connections import BROKER_ERRORS, PublisherConnection, connect
from tasks.messaging.topology import EXCHANGE, progress_routing_key

# Seconds. After a failure nothing is published for this long: progress must never slow a job down.
BACKOFF = 5.0
TIMEOUT = 0.5


class ProgressMessage(BaseModel):
    """Progress of a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    job: str = Field(description="The job's id.")
    tenant: str
    state: str = Field(description="State of the job at this message.")
    attempt: int = Field(ge=0)
    percent: int = Field(ge=0, le=100, description="Never decreases within an attempt.")
    stage: str = Field("", description="Stage: plan, open, draw, compose, encode, manifest …")
    layer: str = Field("", description="Layer being drawn, if any.")


class ProgressPublisher:
    """Publishes progress over one connection, which is opened on first use and again some time after a failure."""

    def __init__(self, app: Celery, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._connection: PublisherConnection | None = None
        self._backoff_until = float("-inf")

    def publish(self, progress: ProgressMessage) -> None:
        """Publish the message if possible at this moment; otherwise discard it."""
        if self._clock() < self._backoff_until:
            return
        try:
            if self._connection is None:
                self._connection = connect(self._app, TIMEOUT, confirm_publish=False, write_timeout=TIMEOUT)
            self._connection.producer.publish(
                progress.model_dump(mode="json"),
                exchange=EXCHANGE,
                declare=[EXCHANGE],
                routing_key=progress_routing_key(progress.tenant, progress.job),
                serializer="json",
                delivery_mode="transient",
                timeout=TIMEOUT,
            )
        except BROKER_ERRORS:
            self._backoff_until = self._clock() + BACKOFF
            if self._connection is not None:
                self._connection.drop()
            self._connection = None

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
