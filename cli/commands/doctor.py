"""`bulkhead doctor`: checks everything that the platform needs, and says how to fix what is missing."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Self

import typer

from tasks.settings import Settings, secret_variables, settings
from tasks.utils.units import format_bytes


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. `remedy` says what to do if it failed."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    @classmethod
    def passed(cls, name: str, detail: str) -> Self:
        """A check that passed."""
        return cls(name, ok=True, detail=detail)

    @classmethod
    def failed(cls, name: str, detail: object, remedy: str) -> Self:
        """A check that failed."""
        return cls(name, ok=False, detail=str(detail), remedy=remedy)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    attack: Annotated[bool, typer.Option("--attack", help="Attack the sandbox of this machine instead.")] = False,
) -> None:
    """Check broker, ledger, store, Redis, heartbeats, ImageMagick, memory limit and sandbox, and say how to fix each.

    Exit code 0 if all checks pass, 3 if one fails. With --attack: 0 if all attacks held, 1 if one got through, 3 if the
    sandbox is unavailable.
    """
    if attack:
        from cli.commands.attack import attack as run_attacks

        run_attacks(as_json=as_json)
        return
    results = [check(settings()) for check in CHECKS]
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results]))
    else:
        for result in results:
            _print_result(result)
    if not all(result.ok for result in results):
        raise typer.Exit(3)


def _print_result(result: CheckResult) -> None:
    colour = typer.colors.GREEN if result.ok else typer.colors.RED
    typer.echo(f"{typer.style('ok  ' if result.ok else 'FAIL', fg=colour)}  {result.name:<12} {result.detail}")
    if not result.ok:
        typer.echo(f"      {'':<12} -> {result.remedy}")


def check_broker(current: Settings) -> CheckResult:
    """The broker accepts connections and has the queues."""
    from tasks import app
    from tasks.messaging import topology
    from tasks.messaging.publisher import Publisher, PublishError

    publisher = Publisher(app, current.publish_timeout)
    try:
        waiting = sum(publisher.queue_depth(queue) for queue in topology.RENDER_QUEUES)
    except PublishError as error:
        return CheckResult.failed("broker", error, "Start RabbitMQ (`bulkhead up`) or correct BULKHEAD_BROKER_URL.")
    finally:
        publisher.close()
    return CheckResult.passed("broker", f"RabbitMQ answers; {waiting} renders wait.")


def check_ledger(current: Settings) -> CheckResult:
    """The ledger's database answers and has the tables of this version."""
    from tasks.database.migrate import check_migrated
    from tasks.jobs import LedgerUnavailable, SchemaOutdated, open_ledger

    opened = open_ledger(current)
    try:
        check_migrated(opened.database)
        jobs = sum(opened.jobs.count_by_state().values())
    except SchemaOutdated as error:
        return CheckResult.failed("ledger", error, "Run `bulkhead migrate`.")
    except LedgerUnavailable as error:
        return CheckResult.failed("ledger", error, "Start the database or correct BULKHEAD_LEDGER_URL.")
    finally:
        opened.database.close()
    return CheckResult.passed("ledger", f"{opened.database.engine.dialect.name} answers; {jobs} jobs.")


def check_store(current: Settings) -> CheckResult:
    """Sources and outputs can be written."""
    from tasks.storage import StoreError, open_store

    try:
        open_store(current.store_url).check()
    except StoreError as error:
        return CheckResult.failed("store", error, "Make the directory writable or correct BULKHEAD_STORE_URL.")
    return CheckResult.passed("store", f"{current.store_url} is writable.")


def check_redis(current: Settings) -> CheckResult:
    """Redis answers, if it is configured."""
    if current.redis_url is None:
        return CheckResult.passed("redis", "Not used: BULKHEAD_REDIS_URL is not set.")
    from redis import Redis, RedisError

    try:
        with Redis.from_url(current.redis_url.get_secret_value(), socket_timeout=2) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        return CheckResult.failed("redis", error, "Start Redis or correct BULKHEAD_REDIS_URL.")
    return CheckResult.passed("redis", "Redis answers.")


def check_heartbeats(current: Settings) -> CheckResult:
    """A node of the heartbeats' database is writable and has the tables of this version."""
    from tasks.jobs import LedgerUnavailable, SchemaOutdated
    from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
    from workers.heartbeats.migrate import check_tables
    from workers.heartbeats.sources.factory import source_name
    from workers.heartbeats.status import read_status

    try:
        check_tables(current.heartbeats_database_nodes())
        status = read_status(DatabaseNodes(current.heartbeats_database_nodes()), source_name(current))
    except SchemaOutdated as error:
        return CheckResult.failed("heartbeats", str(error).partition(".")[0] + ".", "Run `bulkhead migrate`.")
    except (LedgerUnavailable, NoWritableNode) as error:
        return CheckResult.failed(
            "heartbeats", error, "Start the database or correct BULKHEAD_HEARTBEATS_DATABASE_URLS."
        )
    coalescer = (
        f"{status.lease_owner} is coalescing"
        if status.lease_owner
        else "no coalescer is running; start one: python -m workers.heartbeats"
    )
    return CheckResult.passed("heartbeats", f"{status.machines:,} machines; {coalescer}.")


def check_secrets(_current: Settings) -> CheckResult:
    """Under systemd secrets are credentials of units, not in the environment, which all units share."""
    if "CREDENTIALS_DIRECTORY" not in os.environ:
        return CheckResult.passed("secrets", "Not checked: this is not the command of an installation for systemd.")
    if shared := sorted(secret_variables() & os.environ.keys()):
        remedy = "Move each into a file of its name in /etc/bulkhead/credentials, then restart the units."
        return CheckResult.failed("secrets", f"Every unit can read {', '.join(shared)}.", remedy)
    return CheckResult.passed("secrets", "No unit can read those of another.")


def check_imagemagick(_current: Settings) -> CheckResult:
    """MagickWand is installed, under our policy, with the coders that we need and without delegate programs."""
    from workers.render import EngineError
    from workers.render.native import prepare

    try:
        prepare()
    except EngineError as error:
        return CheckResult.failed("imagemagick", error, "apt-get install libmagickwand-6.q16-6")
    from wand.version import MAGICK_VERSION, formats

    if not formats("WEBP"):
        remedy = "Install an ImageMagick that has the WebP delegate library."
        return CheckResult.failed("imagemagick", "ImageMagick cannot write WebP.", remedy)
    return CheckResult.passed(
        "imagemagick", f"{MAGICK_VERSION.split(' http')[0]}, with Bulkhead's policy and with WebP."
    )


def check_memory_limit(current: Settings) -> CheckResult:
    """The cgroup of this process, if it has a limit, allows a render as much as the setting says."""
    from workers.sandbox.cgroup import memory_limit

    limit = memory_limit()
    if limit is None:
        detail = "This shell has no memory limit; workers under systemd have their own (MemoryMax)."
        return CheckResult.passed("memory limit", detail)
    if limit < current.memory_limit:
        detail = (
            f"The cgroup allows {format_bytes(limit)}, "
            f"but BULKHEAD_MEMORY_LIMIT is {format_bytes(current.memory_limit)}."
        )
        return CheckResult.failed(
            "memory limit", detail, "Lower BULKHEAD_MEMORY_LIMIT to the cgroup's limit, or raise the limit."
        )
    return CheckResult.passed(
        "memory limit",
        f"The cgroup allows {format_bytes(limit)}; a render may use {format_bytes(current.memory_limit)}.",
    )


def check_sandbox(_current: Settings) -> CheckResult:
    """The kernel has the controls that confine renders."""
    from cli.commands.attack import describe_landlock, missing_controls

    if missing := missing_controls():
        names = ", ".join(missing)
        return CheckResult.failed("sandbox", f"This system lacks: {names}.", " ".join(missing.values()))
    return CheckResult.passed("sandbox", f"seccomp, {describe_landlock()}; --attack tries to break out.")


CHECKS: tuple[Callable[[Settings], CheckResult], ...] = (
    check_broker,
    check_ledger,
    check_store,
    check_redis,
    check_heartbeats,
    check_secrets,
    check_imagemagick,
    check_memory_limit,
    check_sandbox,
)
