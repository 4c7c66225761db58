"""Web tier and workers as real processes with a real broker. Each test has its own directory."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from kombu import Connection

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import Process, Program
from cli.embedded.programs import scheduler_program, web_program, web_url, worker_program
from tasks.database.migrate import migrate
from tasks.jobs import open_ledger
from tasks.messaging.topology import DEAD_QUEUES, MAINTENANCE, QUEUES, RENDER
from tasks.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


class Platform:
    """The platform of a test: its directory, a migrated ledger, and the processes that it started.

    `environment` has its BULKHEAD_* variables for processes, `settings` the same for code of the test.
    """

    def __init__(self, directory: Path, broker_url: str, ledger_url: str | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.broker_url = broker_url
        self.store = directory / "store"
        self.port = assign_ports(directory / "ports.json", ["web"])["web"]
        self.url = web_url(LOOPBACK, self.port)
        self.environment = {
            "BULKHEAD_BROKER_URL": broker_url,
            "BULKHEAD_LEDGER_URL": ledger_url or f"sqlite:///{directory}/ledger.db",
            "BULKHEAD_STORE_URL": str(self.store),
            "BULKHEAD_ARTIFACT_SECRET": secrets.token_hex(16),
            "BULKHEAD_LINK_SECRET": secrets.token_hex(16),
            "BULKHEAD_VAR": str(directory / "var"),
            "BULKHEAD_PORT": str(self.port),
            "BULKHEAD_WEB_PROCESSES": "2",  # more than one, but each test waits for their start
        }
        self.settings = Settings.model_validate({key[9:].lower(): value for key, value in self.environment.items()})
        self._temporary = directory / "tmp"  # files of killed processes are removed with the test
        self._temporary.mkdir(exist_ok=True)
        self._processes: list[Process] = []
        ledger = open_ledger(self.settings)
        migrate(ledger.database)
        ledger.database.close()

    def start_web(self, **settings: str) -> Process:
        """Start the web tier at `url` and wait until it is healthy. `settings` override BULKHEAD_*."""
        return self.start(web_program(LOOPBACK, self.port, self._with(settings), self.directory))

    def start_worker(self, name: str = "render1", *options: str, queue: str = RENDER, **settings: str) -> Process:
        """Start a render worker with Celery's `options` and wait until it responds."""
        environment = self._with(settings)
        return self.start(worker_program(name, queue, self.broker_url, environment, self.directory, *options))

    def start_maintenance(self, **settings: str) -> Process:
        """Start the maintenance worker and the scheduler."""
        self.start(scheduler_program(self.directory / "schedule", self._with(settings), self.directory))
        return self.start_worker("maintenance", queue=MAINTENANCE, **settings)

    def start(self, program: Program) -> Process:
        """Start a program, which is stopped with the platform."""
        return self.adopt(Process(program, self.directory / "log"))

    def adopt(self, process: Process) -> Process:
        """Start an existing process, which is stopped with the platform."""
        process.start()
        self._processes.append(process)
        process.wait_ready()
        return process

    def process(self, name: str) -> Process:
        """The process of the program with this name."""
        return next(process for process in self._processes if process.name == name)

    def stop(self) -> None:
        """Stop all processes in reverse order."""
        while self._processes:
            self._processes.pop().stop()

    def kill(self) -> None:
        """Kill all processes, like a power failure."""
        while self._processes:
            self._processes.pop().kill()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Name and last 8,000 characters of every log."""
        for log in sorted((self.directory / "log").glob("*.log")):
            yield log.name, log.read_text(encoding="utf-8", errors="replace")[-8000:]

    def environment_with(self, **settings: str) -> dict[str, str]:
        """Variables for a process; `settings` override BULKHEAD_*."""
        return self._with(settings)

    def _with(self, settings: dict[str, str]) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        overrides = {f"BULKHEAD_{name.upper()}": value for name, value in settings.items()}
        return {"PYTHONPATH": path, "TMPDIR": str(self._temporary), **self.environment, **overrides}


def delete_queues(broker_url: str) -> None:
    """Delete all queues, with the messages of earlier tests."""
    with Connection(broker_url) as connection, connection.channel() as channel:
        for queue in (*QUEUES, *DEAD_QUEUES):
            channel.queue_delete(queue.name)
