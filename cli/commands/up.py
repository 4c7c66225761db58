"""`bulkhead up`: the whole platform on one machine, until Ctrl-C."""

import fcntl
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from amqp import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError

from cli.embedded.environment import read_environment_file, update_environment_file
from cli.embedded.files import PRIVATE_DIRECTORY
from cli.embedded.leftovers import kill_orphans
from cli.embedded.node import prepare_rabbitmq
from cli.embedded.ports import PortsExhausted, is_free
from cli.embedded.process import NotInstalled, StartFailed
from cli.embedded.programs import coalescer_program, scheduler_program, web_program, web_url, worker_program
from cli.embedded.redis import is_private, prepare_redis
from cli.embedded.supervisor import Stage, Supervisor
from cli.errors import BadInput, ServiceUnavailable
from tasks.database.migrate import migrate as upgrade
from tasks.jobs import LedgerUnavailable, open_ledger
from tasks.messaging.topology import LARGE, MAINTENANCE, RENDER, TILES, WEBHOOKS
from tasks.settings import ENVIRONMENT_FILE, Settings, settings
from workers.heartbeats.migrate import migrate_tables

# Workers for previews by default: one a core, and no more than this, since each may take a whole fence of memory. The
# one for tiles comes on top: while there are none to cut it costs nothing, and the cores belong to the previews.
MAX_DEFAULT_WORKERS = 4

# Seconds that a RabbitMQ of the user's has to answer.
BROKER_TIMEOUT = 5

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Workers for previews. Default: one a core, at most 4.")
    ] = None,
    tile_workers: Annotated[int, typer.Option(min=1, max=64, help="Workers for renders with tiles.")] = 1,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of BULKHEAD_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on, instead of BULKHEAD_PORT.")
    ] = None,
    redis: Annotated[bool, typer.Option("--redis", help="Also run a private Redis, for live readings.")] = False,
) -> None:
    """Run broker, web tier and workers on this machine until Ctrl-C.

    Without BULKHEAD_BROKER_URL a private RabbitMQ node is started; all data lies below ./var. Exit code 0 when
    stopped, 2 if it runs already or its port is taken, 3 if a service is missing or does not start.
    """
    for name, value in (("BULKHEAD_HOST", host), ("BULKHEAD_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    var = Settings().var.resolve()
    var.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    try:
        with hold_instance_lock(var):
            kill_orphans(var / "log")
            reset_temporary_directory(var / "tmp")
            stages = prepare_services(var, redis=redis)
            chosen = settings()  # now that the environment file is written: everybody reads what else stands in it
            crew = assign_queues(
                chosen, workers or min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS), tile_workers
            )
            run_platform(stages, chosen, var, crew)
    except (NotInstalled, PortsExhausted, StartFailed, LedgerUnavailable) as error:
        raise ServiceUnavailable(str(error)) from error


def reset_temporary_directory(folder: Path) -> None:
    """Make it the empty temporary directory of all that is started from now on.

    What processes that are killed leave in it goes with the next start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=PRIVATE_DIRECTORY)
    os.environ["TMPDIR"] = str(folder)


class AlreadyRunning(BadInput):
    """Another `bulkhead up` works in the same directory."""

    def __init__(self, var: Path, pid: str) -> None:
        super().__init__(
            f"bulkhead up is running already in {var} (process {pid}). "
            f"Stop it with `kill {pid}`, or set BULKHEAD_VAR to another directory."
        )


class PortTaken(BadInput):
    """The web tier cannot listen where it should."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Cannot listen on {host}, port {port}: it is taken. Choose another one with --port.")


@contextmanager
def hold_instance_lock(var: Path) -> Iterator[None]:
    """Hold the directory's lock. Raises AlreadyRunning."""
    with (var / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(var, lock.read().strip()) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def prepare_services(var: Path, *, redis: bool) -> list[Stage]:
    """The private services that the settings ask for. Their URLs go to the environment file and our environment."""
    stages: list[Stage] = []
    values: dict[str, str] = {}
    if own := os.environ.get("BULKHEAD_BROKER_URL"):
        check_broker(own)
    else:
        node = prepare_rabbitmq(var / "rabbitmq")
        stages += node.stages
        values["BULKHEAD_BROKER_URL"] = node.url
        values["BULKHEAD_STREAM_URL"] = node.stream_url
    if redis and "BULKHEAD_REDIS_URL" not in os.environ:
        server = prepare_redis(var / "redis")
        stages.append([server.program])
        values["BULKHEAD_REDIS_URL"] = server.url
    file = var / ENVIRONMENT_FILE
    before = read_environment_file(file)
    if "BULKHEAD_SECRET" not in os.environ:
        values["BULKHEAD_SECRET"] = before.get("BULKHEAD_SECRET") or secrets.token_hex(32)
    stopped = not redis and is_private(before.get("BULKHEAD_REDIS_URL", ""), var / "redis")
    update_environment_file(file, values | ({"BULKHEAD_REDIS_URL": None} if stopped else {}))
    os.environ.update(values)
    return stages


def check_broker(url: str) -> None:
    """Raises ServiceMissing unless the user's own RabbitMQ answers."""
    try:
        with Connection(url, connect_timeout=BROKER_TIMEOUT) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OperationalError, AMQPError) as error:
        raise ServiceUnavailable(
            f"RabbitMQ does not answer at BULKHEAD_BROKER_URL ({error}). "
            "Start it or correct the URL; unset it to have a private RabbitMQ."
        ) from error


def assign_queues(chosen: Settings, previews: int, tiles: int) -> dict[str, str]:
    """The render workers: their names, and the one lane that each takes from (`tasks.jobs.routing` says why one)."""
    large = 1 if chosen.large_memory_limit else 0
    counts = (("render", RENDER, previews), ("tiles", TILES, tiles), ("large", LARGE, large))
    return {f"{name}{number}": lane for name, lane, count in counts for number in range(1, count + 1)}


def run_platform(services: list[Stage], chosen: Settings, var: Path, workers: dict[str, str]) -> None:
    """Start services, workers and web tier, show where they are, and look after them until a signal comes.

    The web tier is last: what it takes finds somebody to do it, and queues that have settled.
    """
    if not is_free(chosen.port, chosen.host):
        raise PortTaken(chosen.host, chosen.port)
    migrate_all(chosen)
    broker = chosen.broker_url.get_secret_value()
    here = Path.cwd()
    crew = [worker_program(name, lane, broker, {}, here) for name, lane in workers.items()]
    crew += [worker_program("maintenance", MAINTENANCE, broker, {}, here), scheduler_program(var / "beat", {}, here)]
    crew.append(coalescer_program("coalescer", {}, here))
    if chosen.webhook_hosts:
        crew.append(worker_program("webhooks", WEBHOOKS, broker, {}, here))
    web = web_program(chosen.host, chosen.port, {}, here)
    supervisor = Supervisor([*services, crew, [web]], var / "log", report=print_progress)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: supervisor.request_stop())
    with supervisor:
        if not supervisor.is_stopping:
            typer.echo(format_summary(chosen, var, list(workers), private_broker=bool(services)))
        supervisor.run_until_stopped()


def migrate_all(chosen: Settings) -> None:
    """Bring the tables of ledger and heartbeats up to date."""
    database = open_ledger(chosen).database
    try:
        upgrade(database)
        migrate_tables(chosen.heartbeats_database_nodes())
    finally:
        database.close()


def print_progress(line: str) -> None:
    """One line about what happens."""
    typer.secho(f"  {line}", err=True, fg=typer.colors.BRIGHT_BLACK)


def format_summary(chosen: Settings, var: Path, workers: list[str], *, private_broker: bool) -> str:
    """What runs, where, and what to do next."""
    url = web_url(chosen.host, chosen.port)
    ledger = "yours (BULKHEAD_LEDGER_URL)" if "ledger_url" in chosen.model_fields_set else f"SQLite, {var}/ledger.db"
    rows = {
        "open": f"{url}/",
        "send": f"curl -F blueprint=@drawing.dxf {url}/renders",
        "broker": f"private RabbitMQ, {var}/rabbitmq" if private_broker else "yours (BULKHEAD_BROKER_URL)",
        "ledger": ledger,
        "store": chosen.store_url,
        "workers": ", ".join(workers),
        "logs": f"{var}/log",
        "stop": f"Ctrl-C, or kill {os.getpid()}",
    }
    title = typer.style("Bulkhead is up.", bold=True, fg=typer.colors.GREEN)
    return "\n".join(["", title, "", *(f"  {name:<9}{text}" for name, text in rows.items()), ""])
