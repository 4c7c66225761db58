"""`bulkhead dead`: jobs and messages that were given up on, their story, and what to do with them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NoReturn

import typer

from cli.errors import BadInput, ServiceUnavailable
from tasks.settings import settings

dead = typer.Typer(help="Look at dead jobs and refused messages; replay or drop them.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id as shown by `bulkhead dead list`.")]

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class DeadItem:
    """A dead job of the ledger, or a letter in a dead-letter queue that no job of the ledger explains."""

    id: str
    kind: str
    tenant: str
    filename: str
    reason: str


@dead.command("list")
def list_dead(as_json: AsJson = False) -> None:
    """List dead jobs and refused messages."""
    with _open_repository() as desk:
        rows = desk.list_all()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
        return
    if not rows:
        typer.echo("Nothing is dead.")
    for row in rows:
        typer.echo(f"{row.id or '(no id)'}  {row.kind:<7}  {row.filename or '-'}  {row.reason}")


@dead.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Tell the story of a dead job, attempt by attempt, or show a refused message."""
    with _open_repository() as desk:
        story = desk.find(job_id)
    if story is None:
        _raise_unknown_id(job_id)
    if as_json:
        typer.echo(json.dumps(story, default=str))
        return
    for line in _format_item(story):
        typer.echo(line)


@dead.command()
def replay(job_id: JobId) -> None:
    """Try a dead job again after a fix, or send a refused message to its queue again."""
    with _open_repository() as desk:
        if not desk.replay(job_id):
            _raise_unknown_id(job_id)
    typer.echo(f"{job_id} is on its way again.")


@dead.command()
def drop(job_id: JobId, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Forget a dead job, or delete a refused message, for good."""
    if not yes:
        typer.confirm(f"Forget {job_id} for good?", abort=True)
    with _open_repository() as desk:
        if not desk.drop(job_id):
            _raise_unknown_id(job_id)
    typer.echo(f"{job_id} is gone.")


class DeadItemRepository:
    """Ledger and dead-letter queues, seen as one list."""

    def __init__(self) -> None:
        from tasks import app
        from tasks.jobs import open_ledger
        from tasks.messaging.dead_letters import DeadLetters
        from tasks.messaging.publisher import Publisher

        chosen = settings()
        self.ledger = open_ledger(chosen)
        self.dead_letters = DeadLetters(app, chosen.publish_timeout)
        self.publisher = Publisher(app, chosen.publish_timeout)

    def list_all(self) -> list[DeadItem]:
        """Everything dead: jobs first, then letters of no dead job."""
        from tasks.jobs import State

        rows, after = [], None
        while True:
            page = self.ledger.jobs.page(states=[State.DEAD], after=after, limit=PAGE_SIZE)
            rows += [
                DeadItem(job.id, "job", job.tenant, job.filename, (job.error or {}).get("detail", ""))
                for job in page.jobs
            ]
            if (after := page.next) is None:
                break
        known = {row.id for row in rows}
        letters = (letter for letter in self.dead_letters.peek() if letter.id not in known)
        return rows + [DeadItem(letter.id, "message", "", "", letter.reason) for letter in letters]

    def find(self, job_id: str) -> dict[str, Any] | None:
        """A dead job with its attempts, or a letter; None if there is neither."""
        job = self.ledger.jobs.find(job_id)
        if job is not None:
            return {**asdict(job), "attempts": [asdict(each) for each in self.ledger.attempts.history(job_id)]}
        for letter in self.dead_letters.peek():
            if letter.id == job_id:
                return {**asdict(letter), "body": letter.body.decode(errors="replace")}
        return None

    def replay(self, job_id: str) -> bool:
        """Publish it again."""
        from tasks.jobs.replay import replay

        job = replay(self.ledger, self.dead_letters, self.publisher, job_id, time.time())
        return job is not None or self.dead_letters.replay(job_id) > 0

    def drop(self, job_id: str) -> bool:
        """Forget it."""
        letters = self.dead_letters.delete(job_id)
        job = self.ledger.jobs.find(job_id)
        removed = job is not None and job.state == "dead" and self.ledger.jobs.remove(job_id)
        return letters > 0 or removed

    def close(self) -> None:
        """Close every connection."""
        self.dead_letters.close()
        self.publisher.close()
        self.ledger.database.close()


@contextmanager
def _open_repository() -> Iterator[DeadItemRepository]:
    from tasks.jobs import LedgerUnavailable
    from tasks.messaging.publisher import PublishError

    desk = DeadItemRepository()
    try:
        yield desk
    except (LedgerUnavailable, PublishError) as error:
        raise ServiceUnavailable(str(error)) from error
    finally:
        desk.close()


def _raise_unknown_id(job_id: str) -> NoReturn:
    raise BadInput(f"Nothing dead has the id {job_id}. `bulkhead dead list` shows what there is.", "unknown-id")


def _format_item(item: dict[str, Any]) -> Iterator[str]:
    if "attempts" not in item:
        yield f"A message for {item['task'] or 'no task'} was refused: {item['reason']}."
        yield item["body"]
        return
    yield f"Job {item['id']} ({item['filename'] or 'no name'}, tenant {item['tenant']}) is {item['state']}."
    if item["error"]:
        yield item["error"]["detail"]
    for attempt in item["attempts"]:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt["started_at"]))
        said = attempt["explanation"] or attempt["outcome"]
        if not said.startswith("Attempt "):
            said = f"Attempt {attempt['number']}: {said}"
        host, pid, _started = attempt["lease_owner"].rsplit(":", 2)
        yield f"  {began}, {host}, process {pid}: {said}"
