"""Renders for worker tests: stores a drawing, publishes its message and waits for the result."""

import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import psutil
from celery import Celery
from kombu import Connection, Exchange, Producer

from tasks import renders
from tasks.jobs import FINAL, Attempt, Job, State, open_ledger
from tasks.messaging.dead_letters import DeadLetter, DeadLetters
from tasks.messaging.publisher import Publisher
from tasks.messaging.topology import EXCHANGE, RENDER
from tasks.storage import open_store
from tests.services.platform import Platform
from tests.services.processes import sandboxed_of
from workers.crash.flight_recorder import FOLDER, parse_record

T = TypeVar("T")

TENANT = "acme"

# Lines of a drawing that takes about 50 ms, and of one that takes some seconds.
LIGHT, HEAVY = 20, 30_000


def drawing(lines: int, layers: int = 4, seed: int = 1, comment: str = "") -> bytes:
    """A DXF drawing with random lines."""
    generator = random.Random(seed)
    text = ["999", comment] if comment else []
    text += ["0", "SECTION", "2", "ENTITIES"]
    for number in range(lines):
        text += ["0", "LINE", "8", f"L{number % layers}"]
        for code in ("10", "20", "11", "21"):
            text += [code, f"{generator.random() * 1000:.3f}"]
    return "\n".join([*text, "0", "ENDSEC", "0", "EOF", ""]).encode()


def celery_app(broker_url: str) -> Celery:
    """The platform's Celery app with this broker."""
    app = Celery("test", set_as_current=False)
    app.config_from_object("tasks.celeryconfig")
    app.conf.update(broker_url=broker_url)
    return app


# Seconds. RabbitMQ 3.10 cannot recover a quorum queue if it is killed immediately after the declaration.
NEW_QUEUE = 2.0


def eventually(poll: Callable[[], T | None], timeout: float = 60) -> T:
    """The first true result of `poll`. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := poll():
            return result
        time.sleep(0.05)
    raise TimeoutError(f"no true result within {timeout:g} s")


class Renders:
    """Sends renders to a platform and observes their results."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.app = celery_app(platform.broker_url)
        self.ledger = open_ledger(platform.settings)
        self.store = open_store(platform.settings.store_url)
        self.publisher = Publisher(self.app, timeout=5)
        self.letters = DeadLetters(self.app, timeout=5)

    def close(self) -> None:
        """Close all connections."""
        self.publisher.close()
        self.letters.close()
        self.ledger.database.close()
        self.app.close()

    def make(
        self, lines: int = LIGHT, *, tenant: str = TENANT, comment: str = "", **fields: Any
    ) -> renders.RenderMessage:
        """Store a drawing. Returns the message that requests its render."""
        job = str(uuid.uuid4())
        source = renders.source_key(tenant, job)
        self.store.put(source, drawing(lines, seed=uuid.UUID(job).int, comment=comment))
        return renders.RenderMessage(
            job=job, tenant=tenant, source=source, options=renders.RenderOptions(width=64), **fields
        )

    def accept(self, message: renders.RenderMessage, **fields: Any) -> Job:
        """Record the job in the ledger."""
        now = time.time()
        job = Job(
            id=message.job,
            tenant=message.tenant,
            state=State.ACCEPTED,
            source=message.source,
            filename=message.filename,
            options=message.options.model_dump(),
            created_at=now,
            updated_at=now,
        )
        job = replace(job, **fields)
        self.ledger.jobs.accept(job)
        return job

    def publish(self, message: renders.RenderMessage, queue: str = RENDER) -> None:
        """Publish the message and record that in the ledger."""
        self.publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"), queue=queue)
        self.ledger.jobs.mark_published(message.job, time.time())

    def submit(self, lines: int = LIGHT) -> str:
        """Accept and publish a render. Returns the id of its job."""
        message = self.make(lines)
        self.accept(message)
        self.publish(message)
        return message.job

    def find(self, job_id: str) -> Job:
        """The job in the ledger. Raises LookupError."""
        job = self.ledger.jobs.find(job_id)
        if job is None:
            raise LookupError(job_id)
        return job

    def history(self, job_id: str) -> list[Attempt]:
        """The job's attempts."""
        return self.ledger.attempts.history(job_id)

    def finished(self, job_id: str, timeout: float = 60) -> Job:
        """Wait until the job has finished, and return it."""

        def poll() -> Job | None:
            with suppress(LookupError):
                job = self.find(job_id)
                return job if job.state in FINAL else None
            return None

        return eventually(poll, timeout)

    def child_at(self, job_id: str, attempt: int = 1, timeout: float = 60) -> int:
        """Wait until the attempt has a flight record, and return the process id of its worker child."""

        def running() -> int | None:
            with suppress(LookupError, FileNotFoundError):
                job = self.find(job_id)
                if job.state is State.RUNNING and job.attempt >= attempt and job.lease_owner:
                    record = parse_record((self.platform.settings.var / FOLDER / job.lease_owner).read_bytes())
                    return int(job.lease_owner.split(":")[1]) if record and record.attempt == job.attempt else None
            return None

        return eventually(running, timeout)

    def render_at(self, job_id: str, attempt: int = 1, timeout: float = 60) -> int:
        """Wait until the attempt draws in the sandbox, and return the process id there."""

        def drawing_process() -> int | None:
            child = self.child_at(job_id, attempt, timeout)
            with suppress(LookupError, ValueError, FileNotFoundError, psutil.NoSuchProcess):
                (path,) = (self.platform.settings.var / FOLDER).glob(f"*:{child}:*")
                record, running = parse_record(path.read_bytes()), sandboxed_of(psutil.Process(child).ppid())
                if record and record.attempt >= attempt and record.resident and len(running) == 1:
                    return running[0].pid
            return None

        return eventually(drawing_process, timeout)

    def dead_letter(self, letter_id: str, timeout: float = 20) -> DeadLetter:
        """Wait for the dead letter with this id, and return it."""
        return eventually(
            lambda: next((letter for letter in self.letters.peek() if letter.id == letter_id), None), timeout
        )

    def manifest(self, job: Job) -> Path:
        """The path of the manifest of a finished job."""
        return self.platform.store / "artifacts" / job.tenant / str(job.artifact) / "manifest.json"


def publish_raw(
    broker_url: str,
    body: bytes | str,
    headers: dict[str, Any] | None = None,
    *,
    exchange: Exchange = EXCHANGE,
    routing_key: str = RENDER,
    content_type: str = "application/json",
    content_encoding: str = "utf-8",
    **properties: Any,
) -> None:
    """Publish any AMQP message, with a publisher confirm."""
    with Connection(broker_url, transport_options={"confirm_publish": True}) as connection:
        Producer(connection.channel()).publish(
            body,
            exchange=exchange,
            routing_key=routing_key,
            headers=headers,
            content_type=content_type,
            content_encoding=content_encoding,
            **properties,
        )
