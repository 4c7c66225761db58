"""`bulkhead dead`: dead jobs and rejected messages, why they failed, and how to replay or drop them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from tasks.errors import NotFound
from tasks.settings import settings

dead = typer.Typer(help="List dead jobs and rejected messages; replay or drop them.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id as shown by `bulkhead dead list`.")]

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class DeadItem:
    """A dead job, or a dead letter that belongs to no dead job."""

    id: str
    kind: str
    tenant: str
    filename: str
    reason: str


@dead.command("list")
def list_dead(as_json: AsJson = False) -> None:
    """List dead jobs and rejected messages."""
    with _open_repository() as repository:
        items = repository.list_all()
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in items]))
        return
    if not items:
        typer.echo("There are no dead jobs and no rejected messages.")
    for item in items:
        typer.echo(f"{item.id or '(no id)'}  {item.kind:<7}  {item.filename or '-'}  {item.reason}")


@dead.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Explain why a job is dead, or show a rejected message."""
    with _open_repository() as repository:
        item = repository.find(job_id)
    if item is None:
        raise UnknownId(job_id)
    if as_json:
        typer.echo(json.dumps(item, default=str))
        return
    for line in _format_item(item):
        typer.echo(line)


@dead.command()
def replay(job_id: JobId) -> None:
    """Publish a dead job or a rejected message again.

    Use it after a fix: the job gets new attempts.
    """
    with _open_repository() as repository:
        if not repository.replay(job_id):
            raise UnknownId(job_id)
    typer.echo(f"{job_id} is queued again.")


@dead.command()
def drop(
    job_id: JobId, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False
) -> None:
    """Delete a dead job or a rejected message permanently."""
    if not yes:
        typer.confirm(f"Delete {job_id} permanently?", abort=True)
    with _open_repository() as repository:
        if not repository.drop(job_id):
            raise UnknownId(job_id)
    typer.echo(f"{job_id} is deleted.")


class UnknownId(NotFound):
    """No dead job and no rejected message has this id."""

    code = "unknown-id"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"No dead job or rejected message has the id {job_id}. `bulkhead dead list` shows them.")


class DeadItemRepository:
    """Dead jobs of the ledger and messages of the dead-letter queues, as one list."""

    def __init__(self) -> None:
        from tasks import app
        from tasks.jobs import open_ledger
        from tasks.messaging.dead_letters import DeadLetters
        from tasks.messaging.publisher import Publisher

        current = settings()
        self.ledger = open_ledger(current)
        self.dead_letters = DeadLetters(app, current.publish_timeout)
        self.publisher = Publisher(app, current.publish_timeout)

    def list_all(self) -> list[DeadItem]:
        """All dead jobs, then the dead letters that belong to none of them."""
        from tasks.jobs import State

        items, after = [], None
        while True:
            page = self.ledger.jobs.page(states=[State.DEAD], after=after, limit=PAGE_SIZE)
            items += [
                DeadItem(job.id, "job", job.tenant, job.filename, (job.error or {}).get("detail", ""))
                for job in page.jobs
            ]
            if (after := page.next) is None:
                break
        known = {item.id for item in items}
        others = [each for each in self.dead_letters.peek() if each.id not in known]
        return items + [DeadItem(each.id, "message", "", "", each.reason) for each in others]

    def find(self, job_id: str) -> dict[str, Any] | None:
        """A job with its attempts, or a dead letter; None if the id is unknown."""
        job = self.ledger.jobs.find(job_id)
        if job is not None:
            return {**asdict(job), "attempts": [asdict(each) for each in self.ledger.attempts.history(job_id)]}
        for dead_letter in self.dead_letters.peek():
            if dead_letter.id == job_id:
                return {**asdict(dead_letter), "body": dead_letter.body.decode(errors="replace")}
        return None

    def replay(self, job_id: str) -> bool:
        """Publish a dead job or a dead letter again. Returns whether there was one."""
        from tasks.jobs.replay import replay

        job = replay(self.ledger, self.dead_letters, self.publisher, job_id, time.time())
        return job is not None or self.dead_letters.replay(job_id) > 0

    def drop(self, job_id: str) -> bool:
        """Delete a dead job, a dead letter or both. Returns whether there was one."""
        deleted = self.dead_letters.delete(job_id)
        job = self.ledger.jobs.find(job_id)
        removed = job is not None and job.state == "dead" and self.ledger.jobs.remove(job_id)
        return deleted > 0 or removed

    def close(self) -> None:
        """Close every connection."""
        self.dead_letters.close()
        self.publisher.close()
        self.ledger.database.close()


@contextmanager
def _open_repository() -> Iterator[DeadItemRepository]:
    repository = DeadItemRepository()
    try:
        yield repository
    finally:
        repository.close()


def _format_item(item: dict[str, Any]) -> Iterator[str]:
    if "attempts" not in item:
        yield f"A message for {item['task'] or 'an unknown task'} was rejected: {item['reason']}."
        yield item["body"]
        return
    yield f"Job {item['id']} ({item['filename'] or 'no file name'}, tenant {item['tenant']}) is {item['state']}."
    if item["error"]:
        yield item["error"]["detail"]
    for attempt in item["attempts"]:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt["started_at"]))
        text = attempt["explanation"] or attempt["outcome"]
        if not text.startswith("Attempt "):
            text = f"Attempt {attempt['number']}: {text}"
        host, pid, _start_time = attempt["lease_owner"].rsplit(":", 2)
        yield f"  {started}, {host}, process {pid}: {text}"
