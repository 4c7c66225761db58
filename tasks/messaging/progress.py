"""Progress: transient messages from a worker to whoever watches. Losing one does no harm, so nothing waits for it."""

import time
from collections.abc import Callable
from typing import Literal

from celery import Celery
from pydantic import BaseModel, ConfigDict, Field

from tasks.messaging.connections import BROKER_ERRORS, Line, connect
from tasks.messaging.topology import EXCHANGE, progress_key

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
        self._line: Line | None = None
        self._resting_until = float("-inf")

    def tell(self, progress: Progress) -> None:
        """Send it if that is possible right now; otherwise forget it."""
        if self._clock() < self._resting_until:
            return
        try:
            if self._line is None:
                self._line = connect(self._app, TIMEOUT, confirm_publish=False, write_timeout=TIMEOUT)
            self._line.producer.publish(
                progress.model_dump(mode="json"),
                exchange=EXCHANGE,
                declare=[EXCHANGE],
                routing_key=progress_key(progress.tenant, progress.job),
                serializer="json",
                delivery_mode="transient",
                timeout=TIMEOUT,
            )
        except BROKER_ERRORS:
            self._resting_until = self._clock() + REST_AFTER_FAILURE
            if self._line is not None:
                self._line.drop()
            self._line = None

    def close(self) -> None:
        """Close the connection."""
        line, self._line = self._line, None
        if line is not None:
            line.close()
