"""`bulkhead up`: the whole platform on one machine, until Ctrl-C."""

import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from amqp import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError

from cli.commands.migrate import migrate_all
from cli.embedded.environment import read_environment_file, update_environment_file
from cli.embedded.orphans import kill_orphans
from cli.embedded.ports import is_free
from cli.embedded.programs import coalescer_program, scheduler_program, web_program, web_url, worker_program
from cli.embedded.rabbitmq import prepare_rabbitmq
from cli.embedded.redis import is_private, prepare_redis
from cli.embedded.rights import give_up_rights
from cli.embedded.supervisor import Stage, Supervisor
from cli.sandbox import find_missing_controls
from tasks.errors import Conflict, ServiceUnavailable
from tasks.messaging.topology import LARGE, MAINTENANCE, RENDER, TILES, WEBHOOKS
from tasks.settings import ENVIRONMENT_FILE, Settings, settings
from tasks.utils.files import PRIVATE_DIRECTORY, lock_file

# Workers for previews by default: one per core, and no more than this, since each may use a whole memory limit. The
# worker for tiles comes on top: it costs nothing while there are no tiles to render.
MAX_DEFAULT_WORKERS = 4

# Seconds in which the configured RabbitMQ must answer.
BROKER_TIMEOUT = 5

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Workers for renders without tiles; default: one per core, at most 4."),
    ] = None,
    tile_workers: Annotated[int, typer.Option(min=1, max=64, help="Workers for renders with tiles.")] = 1,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of BULKHEAD_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on, instead of BULKHEAD_PORT.")
    ] = None,
    redis: Annotated[bool, typer.Option("--redis", help="Also run a private Redis, for live sensor readings.")] = False,
) -> None:
    """Run broker, web tier and workers on this machine until Ctrl-C.

    Starts a private RabbitMQ node unless BULKHEAD_BROKER_URL is set, and stores all data in ./var. Exit code 0 when
    stopped, 2 if it is already running or its port is in use, 3 if a service is missing or does not start.
    """
    for name, value in (("BULKHEAD_HOST", host), ("BULKHEAD_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    var = Settings().var.resolve()
    rights = give_up_rights(var)
    var.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    with hold_instance_lock(var):
        if rights:
            print_progress(rights)
        kill_orphans(var / "log")
        reset_temporary_directory(var / "tmp")
        stages = prepare_services(var, redis=redis)
        current = settings()  # read only now: prepare_services has written the environment file
        previews = workers or min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)
        run_platform(stages, current, var, assign_queues(current, previews, tile_workers))


def reset_temporary_directory(folder: Path) -> None:
    """Empty `folder` and make it the temporary directory of this process and its children.

    Files that killed processes leave there are deleted at the next start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=PRIVATE_DIRECTORY)
    os.environ["TMPDIR"] = str(folder)


class AlreadyRunning(Conflict):
    """Another `bulkhead up` uses the same directory."""

    code = "already-running"

    def __init__(self, var: Path, pid: str) -> None:
        super().__init__(
            f"bulkhead up is already running in {var} (process {pid}). "
            f"Stop it with `kill {pid}`, or set BULKHEAD_VAR to another directory."
        )


class PortInUse(Conflict):
    """The web tier cannot listen on its port."""

    code = "port-in-use"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Cannot listen on {host}, port {port}: it is in use. Choose another port with --port.")


@contextmanager
def hold_instance_lock(var: Path) -> Iterator[None]:
    """Hold the lock of the directory `var`. Raises AlreadyRunning."""
    path = var / "up.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_file(path, wait=False))
        except BlockingIOError:
            raise AlreadyRunning(var, path.read_text().strip()) from None
        path.write_text(f"{os.getpid()}\n")
        yield


def prepare_services(var: Path, *, redis: bool) -> list[Stage]:
    """The private services that the settings require. Their URLs go to the environment file and to os.environ."""
    stages: list[Stage] = []
    values: dict[str, str] = {}
    if broker_url := os.environ.get("BULKHEAD_BROKER_URL"):
        check_broker(broker_url)
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
    for name in ("BULKHEAD_ARTIFACT_SECRET", "BULKHEAD_LINK_SECRET"):
        if name not in os.environ:
            values[name] = before.get(name) or secrets.token_hex(32)
    is_stale = not redis and is_private(before.get("BULKHEAD_REDIS_URL", ""), var / "redis")
    update_environment_file(file, values | ({"BULKHEAD_REDIS_URL": None} if is_stale else {}))
    os.environ.update(values)
    return stages


def check_broker(url: str) -> None:
    """Raises ServiceUnavailable unless the RabbitMQ at `url` answers."""
    try:
        with Connection(url, connect_timeout=BROKER_TIMEOUT) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OperationalError, AMQPError) as error:
        raise ServiceUnavailable(
            f"RabbitMQ does not answer at BULKHEAD_BROKER_URL ({error}). "
            "Start it or correct the URL, or unset the variable to use a private RabbitMQ."
        ) from error


def assign_queues(current: Settings, previews: int, tiles: int) -> dict[str, str]:
    """The names of the render workers, and the one queue of each (`tasks.jobs.routing` says why only one)."""
    large = 1 if current.large_memory_limit else 0
    counts = (("render", RENDER, previews), ("tiles", TILES, tiles), ("large", LARGE, large))
    return {f"{name}{number}": queue for name, queue, count in counts for number in range(1, count + 1)}


def run_platform(services: list[Stage], current: Settings, var: Path, workers: dict[str, str]) -> None:
    """Start services, workers and web tier, print their addresses, and supervise them until a signal arrives.

    The web tier starts last, when the queues exist and have consumers.
    """
    find_missing_controls(required=current.requires_sandbox)
    if not is_free(current.port, current.host):
        raise PortInUse(current.host, current.port)
    migrate_all(current)
    broker = current.broker_url.get_secret_value()
    folder = Path.cwd()
    background = [worker_program(name, queue, broker, {}, folder) for name, queue in workers.items()]
    background.append(worker_program("maintenance", MAINTENANCE, broker, {}, folder))
    background.append(scheduler_program(var / "beat", {}, folder))
    background.append(coalescer_program("coalescer", {}, folder))
    if current.webhook_hosts:
        background.append(worker_program("webhooks", WEBHOOKS, broker, {}, folder))
    tenants = " ".join(current.webhook_tenants or current.webhook_secrets)
    withheld = {"BULKHEAD_WEBHOOK_SECRETS": "{}", "BULKHEAD_WEBHOOK_TENANTS": tenants}
    web = web_program(current.host, current.port, withheld, folder)
    supervisor = Supervisor([*services, background, [web]], var / "log", report=print_progress)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: supervisor.request_stop())
    with supervisor:
        if not supervisor.is_stopping:
            typer.echo(format_summary(current, var, list(workers), private_broker=bool(services)))
        supervisor.run_until_stopped()


def print_progress(line: str) -> None:
    """Print one line about the progress of starting and stopping."""
    typer.secho(f"  {line}", err=True, fg=typer.colors.BRIGHT_BLACK)


def format_summary(current: Settings, var: Path, workers: list[str], *, private_broker: bool) -> str:
    """The addresses of everything that runs, and what to do next."""
    url = web_url(current.host, current.port)
    ledger = "BULKHEAD_LEDGER_URL" if "ledger_url" in current.model_fields_set else f"SQLite, {var}/ledger.db"
    rows = {
        "open": f"{url}/",
        "send": f"curl -F blueprint=@drawing.dxf {url}/renders",
        "broker": f"private RabbitMQ, {var}/rabbitmq" if private_broker else "BULKHEAD_BROKER_URL",
        "ledger": ledger,
        "store": current.store_url,
        "workers": ", ".join(workers),
        "logs": f"{var}/log",
        "stop": f"Ctrl-C, or kill {os.getpid()}",
    }
    title = typer.style("Bulkhead is up.", bold=True, fg=typer.colors.GREEN)
    return "\n".join(["", title, "", *(f"  {name:<9}{text}" for name, text in rows.items()), ""])
