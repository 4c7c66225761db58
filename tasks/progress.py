"""Progress: transient messages from a worker to whoever watches. Losing one does no harm, so nothing waits for it."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError
from pydantic import BaseModel, ConfigDict, Field

from tasks.topology import EXCHANGE, progress_key

# After a failure the broker is left alone for this long (seconds): progress must never slow a job down.
REST_AFTER_FAILURE = 5.0
TIMEOUT = 0.5


class Progress(BaseModel):
    """How far a job is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    job: str = Field(description="The job's id.")
    tenant: str
    state: str = Field(description="State of the job as of this message.")
    attempt: int = Field(ge=0)
    percent: int = Field(ge=0, le=100, description="Never falls within an attempt.")
    stage: str = Field("", description="plan, open, draw, compose, encode, manifest ...")
    layer: str = Field("", description="Layer at work, if any.")


class ProgressTeller:
    """Tells progress over one connection, opened on first use and again after a rest when it fails."""

    def __init__(self, app: Celery, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._producer: Producer | None = None
        self._resting_until = float("-inf")

    def tell(self, progress: Progress) -> None:
        """Send it if that is possible right now; otherwise forget it."""
        if self._clock() < self._resting_until:
            return
        try:
            if self._producer is None:
                self._producer = Producer(self._connect(), exchange=EXCHANGE, auto_declare=False)
            self._producer.publish(
                progress.model_dump(mode="json"),
                routing_key=progress_key(progress.tenant, progress.job),
                serializer="json",
                delivery_mode="transient",
                timeout=TIMEOUT,
            )
        except (AMQPError, KombuError, OSError):
            self._resting_until = self._clock() + REST_AFTER_FAILURE
            self.close()

    def close(self) -> None:
        """Close the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(AMQPError, KombuError, OSError):
                producer.connection.collapse()

    def _connect(self) -> Connection:
        # Without confirms and with short time-outs: nobody waits for this.
        connection: Connection = self._app.connection_for_write(
            connect_timeout=TIMEOUT, transport_options={"confirm_publish": False, "write_timeout": TIMEOUT}
        )
        connection.ensure_connection(max_retries=1, timeout=TIMEOUT, reraise_as_library_errors=False)
        EXCHANGE(connection.default_channel).declare()
        return connection
