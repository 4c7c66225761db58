"""Real services for a benchmark: a private broker, Redis and platform in a scratch directory, gone afterwards."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.embedded.rabbitmq import prepare_rabbitmq
from cli.embedded.redis import prepare_redis
from cli.embedded.supervisor import Supervisor
from tests.services.platform import Platform

ROOT = Path(__file__).resolve().parents[2]


def print_progress(line: str) -> None:
    """Say something to the person who watches; standard output belongs to the result."""
    print(line, file=sys.stderr, flush=True)


def print_result(result: dict[str, Any]) -> None:
    """Print the result: one JSON object on the last line."""
    print(json.dumps(result), flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for the length of a run."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def running_broker(home: Path) -> Iterator[str]:
    """A RabbitMQ node below `home`; yields its URL."""
    node = prepare_rabbitmq(home / "rabbitmq")
    with Supervisor(node.stages, home / "log", report=print_progress):
        yield node.url


@contextmanager
def running_redis(home: Path) -> Iterator[str]:
    """A Redis below `home`; yields its URL."""
    server = prepare_redis(home / "redis")
    with Supervisor([[server.program]], home / "log", report=print_progress):
        yield server.url


@contextmanager
def running_platform(home: Path, broker_url: str) -> Iterator[Platform]:
    """Ledger (SQLite), store and whatever of web tier and workers the benchmark starts.

    This process gets the platform's settings, too: import `tasks` only after this.
    """
    platform = Platform(home / "platform", broker_url)
    del platform.environment["BULKHEAD_WEB_PROCESSES"]  # what is measured is what people get
    os.environ.update(platform.environment)
    try:
        yield platform
    finally:
        platform.stop()
