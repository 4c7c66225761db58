"""Bulkhead's worker: configuration, message validation and request class of a render, with a task that does nothing."""

from uuid import uuid4

from kombu import Connection
from pydantic import BaseModel, ConfigDict

from benchmarks.peers import Peer, tick
from tasks import app
from tasks.messaging.publisher import Publisher
from tasks.messaging.topology import RENDER, work_queue
from tasks.settings import settings
from workers.runtime.extensions.message_validation import MESSAGE_SCHEMAS
from workers.runtime.extensions.request import JobTask

TASK = "render.noop"


class NoopMessage(BaseModel):
    """A no-op has no parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


MESSAGE_SCHEMAS[TASK] = NoopMessage


@app.task(name=TASK, base=JobTask)
def noop() -> None:
    """Do nothing."""
    tick()


def fill(count: int) -> None:
    """Publish with confirms, like the web tier."""
    publisher = Publisher(app, settings().publish_timeout)
    for _ in range(count):
        publisher.publish(TASK, str(uuid4()), {})
    publisher.close()


def clear() -> None:
    """Delete the queue."""
    with Connection(settings().broker_url.get_secret_value()) as connection, connection.channel() as channel:
        channel.queue_delete(work_queue(RENDER).name)


PEER = Peer("noop", ("-m", "celery", "-A", __name__, "worker", "-Q", RENDER, "-c", "1", "-l", "WARNING"), fill, clear)
