"""The system of the heartbeat run: broker, Redis and database, and coalescers that kill themselves at a point."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.embedded.process import Process, Program
from cli.embedded.programs import coalescer_program
from cli.embedded.rabbitmq import RabbitmqNode, prepare_rabbitmq
from cli.embedded.redis import prepare_redis
from cli.embedded.supervisor import Supervisor
from tests.services.galera import Galera
from tests.services.mariadb import MariaDb
from tests.services.platform import ROOT
from workers.heartbeats.migrate import migrate_tables

DATABASES = ("mariadb", "galera")

LEASE = 1.0  # seconds, the minimum
WINDOW = "0.2"  # seconds


@dataclass
class System:
    """The system under test."""

    home: Path
    node: RabbitmqNode
    urls: list[str]
    redis_url: str
    broker: Process
    redis: Process
    database: Callable[[], Process]  # the node that receives the writes
    restart_database: Callable[[], None]
    settings: dict[str, str] = field(default_factory=dict)

    def coalescer(self, number: int, point: str = "") -> Process:
        """Start a coalescer, which kills itself at `point` if that is given."""
        program = coalescer_program(f"coalescer{number}", self.settings, self.home)
        if point:
            command = (sys.executable, "-m", "tests.services.faults.doomed", point)
            program = Program(program.name, command, program.is_ready, program.environment, self.home)
        process = Process(program, self.home / "log")
        process.start()
        return process


@dataclass(frozen=True)
class RunningRedis:
    """A running Redis."""

    url: str
    process: Process


@contextmanager
def running_redis(home: Path) -> Iterator[RunningRedis]:
    """Start Redis, once the ports of all other services are assigned."""
    server = prepare_redis(home / "redis")
    with Supervisor([(server.program,)], home / "log") as supervisor:
        yield RunningRedis(server.url, supervisor.process(server.program.name))


@contextmanager
def running_system(database: str) -> Iterator[System]:
    """Start all services but the coalescers in a temporary directory, and remove them afterwards."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-beats-"))
    home.chmod(0o755)  # MariaDB's user needs access
    try:
        node = prepare_rabbitmq(home / "rabbitmq")
        (home / "database").mkdir()
        with Supervisor(node.stages, home / "log") as brokers, running_redis(home) as live:
            broker_and_redis = (brokers.process("rabbitmq"), live.process)
            if database == "galera":
                cluster = Galera(home / "database")
                with cluster.running():
                    first = cluster.nodes[0]
                    yield _system(
                        home, node, cluster.urls, live.url, broker_and_redis, lambda: first.process, first.rejoin
                    )
            else:
                server = MariaDb(home / "database")
                with server.running():
                    url = server.fresh_database()
                    yield _system(
                        home,
                        node,
                        [url],
                        live.url,
                        broker_and_redis,
                        lambda: server.process,
                        lambda: restart(server.process),
                    )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _system(
    home: Path,
    node: RabbitmqNode,
    urls: list[str],
    redis_url: str,
    broker_and_redis: tuple[Process, Process],
    database: Callable[[], Process],
    restart_database: Callable[[], None],
) -> System:
    migrate_tables(urls)
    settings = {
        "PYTHONPATH": str(ROOT),
        "BULKHEAD_BROKER_URL": node.url,
        "BULKHEAD_STREAM_URL": node.stream_url,
        "BULKHEAD_HEARTBEATS_DATABASE_URLS": " ".join(urls),
        "BULKHEAD_HEARTBEATS_WINDOW": WINDOW,
        "BULKHEAD_HEARTBEATS_LEASE": str(LEASE),
        "BULKHEAD_REDIS_URL": redis_url,
        "BULKHEAD_VAR": str(home / "var"),
    }
    return System(home, node, urls, redis_url, *broker_and_redis, database, restart_database, settings)


def restart(process: Process) -> None:
    """Start a process that has ended, and wait until it is ready."""
    process.start()
    process.wait_ready()
