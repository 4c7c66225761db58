"""`bulkhead doctor`: is everything there that the platform needs, and if not, how to mend it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Self

import typer

from tasks.settings import Settings, settings


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing looked at. `mend` says what to do when it is not ok."""

    name: str
    ok: bool
    detail: str
    mend: str = ""

    @classmethod
    def passed(cls, name: str, detail: str) -> Self:
        """Nothing to mend."""
        return cls(name, ok=True, detail=detail)

    @classmethod
    def failed(cls, name: str, detail: object, mend: str) -> Self:
        """Something to mend."""
        return cls(name, ok=False, detail=str(detail), mend=mend)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check broker, ledger, store, Redis, heartbeats, ImageMagick and the memory fence, and say how to mend each.

    Exit code 0 if all is well, 3 if something is missing.
    """
    findings = [check(settings()) for check in CHECKS]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            _print_result(finding)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(3)


def _print_result(finding: CheckResult) -> None:
    colour = typer.colors.GREEN if finding.ok else typer.colors.RED
    typer.echo(f"{typer.style('ok  ' if finding.ok else 'FAIL', fg=colour)}  {finding.name:<12} {finding.detail}")
    if not finding.ok:
        typer.echo(f"      {'':<12} -> {finding.mend}")


def check_broker(chosen: Settings) -> CheckResult:
    """Can a message be published and will it be confirmed?"""
    from tasks import app
    from tasks.messaging import topology
    from tasks.messaging.publisher import Publisher, PublishError

    publisher = Publisher(app, chosen.publish_timeout)
    try:
        waiting = sum(publisher.queue_depth(lane) for lane in topology.RENDER_QUEUES)
    except PublishError as error:
        return CheckResult.failed("broker", error, "Start RabbitMQ (`bulkhead up`) or correct BULKHEAD_BROKER_URL.")
    finally:
        publisher.close()
    return CheckResult.passed("broker", f"RabbitMQ answers; {waiting} renders wait.")


def check_ledger(chosen: Settings) -> CheckResult:
    """Does the database answer, with this version's tables?"""
    from tasks.database.errors import SchemaOutdated
    from tasks.database.migrate import check_migrated
    from tasks.jobs import LedgerUnavailable, open_ledger

    book = open_ledger(chosen)
    try:
        check_migrated(book.database)
        jobs = sum(book.jobs.count_by_state().values())
    except SchemaOutdated as error:
        return CheckResult.failed("ledger", error, "Run `bulkhead migrate`.")
    except LedgerUnavailable as error:
        return CheckResult.failed("ledger", error, "Start the database or correct BULKHEAD_LEDGER_URL.")
    finally:
        book.database.close()
    return CheckResult.passed("ledger", f"{book.database.engine.dialect.name} answers; {jobs} jobs.")


def check_store(chosen: Settings) -> CheckResult:
    """Can sources and outputs be written?"""
    from tasks.storage import StoreError, open_store

    try:
        open_store(chosen.store_url).check()
    except StoreError as error:
        return CheckResult.failed("store", error, "Make the directory writable or correct BULKHEAD_STORE_URL.")
    return CheckResult.passed("store", f"{chosen.store_url} can be written.")


def check_redis(chosen: Settings) -> CheckResult:
    """Does Redis answer, if it is used?"""
    if chosen.redis_url is None:
        return CheckResult.passed("redis", "Not used: BULKHEAD_REDIS_URL is not set.")
    from redis import Redis, RedisError

    try:
        with Redis.from_url(chosen.redis_url.get_secret_value(), socket_timeout=2) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        return CheckResult.failed("redis", error, "Start Redis or correct BULKHEAD_REDIS_URL.")
    return CheckResult.passed("redis", "Redis answers.")


def check_heartbeats(chosen: Settings) -> CheckResult:
    """Can a node of the machines' database be written to, with this version's tables?"""
    from tasks.database.errors import SchemaOutdated
    from tasks.jobs import LedgerUnavailable
    from workers.heartbeats.nodes import DatabaseNodes, NoWritableNode
    from workers.heartbeats.sources.choice import source_name
    from workers.heartbeats.status import read_status
    from workers.heartbeats.tables import check_tables

    try:
        check_tables(chosen.heartbeats_database_nodes())
        status = read_status(DatabaseNodes(chosen.heartbeats_database_nodes()), source_name(chosen))
    except SchemaOutdated as error:
        return CheckResult.failed("heartbeats", str(error).partition(".")[0] + ".", "Run `bulkhead migrate`.")
    except (LedgerUnavailable, NoWritableNode) as error:
        return CheckResult.failed(
            "heartbeats", error, "Start the database or correct BULKHEAD_HEARTBEATS_DATABASE_URLS."
        )
    at_work = f"{status.lease_owner} coalesces" if status.lease_owner else "no coalescer is at work"
    return CheckResult.passed("heartbeats", f"{status.machines:,} machines are known; {at_work}.")


def check_imagemagick(_chosen: Settings) -> CheckResult:
    """Is MagickWand there, under our policy, with the coders that we need and no program to call?"""
    from workers.render import EngineError
    from workers.render.native import prepare

    try:
        prepare()
    except EngineError as error:
        return CheckResult.failed("imagemagick", error, "apt-get install libmagickwand-6.q16-6")
    from wand.version import MAGICK_VERSION, formats

    if not formats("WEBP"):
        detail, mend = "It cannot write WebP.", "Install an ImageMagick that has the WebP delegate library."
        return CheckResult.failed("imagemagick", detail, mend)
    return CheckResult.passed("imagemagick", f"{MAGICK_VERSION.split(' http')[0]}, under our own policy, with WebP.")


def check_memory_limit(chosen: Settings) -> CheckResult:
    """Is there a memory limit around this process, and does it fit the setting?"""
    from workers.sandbox.cgroup import memory_limit

    limit = memory_limit()
    wanted = chosen.memory_limit
    if limit is None:
        detail = "No memory limit around this shell; workers under systemd have their own (MemoryMax)."
        return CheckResult.passed("fence", detail)
    if limit < wanted:
        detail = f"The cgroup allows {limit:,} bytes, BULKHEAD_MEMORY_LIMIT says {wanted:,}."
        return CheckResult.failed(
            "fence", detail, "Lower BULKHEAD_MEMORY_LIMIT to the cgroup's limit, or raise the limit."
        )
    return CheckResult.passed("fence", f"The cgroup allows {limit:,} bytes; a render may take {wanted:,}.")


CHECKS: tuple[Callable[[Settings], CheckResult], ...] = (
    check_broker,
    check_ledger,
    check_store,
    check_redis,
    check_heartbeats,
    check_imagemagick,
    check_memory_limit,
)
