"""Real services for a benchmark: a private broker, Redis and platform in a temporary directory."""

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
    """Print progress on standard error; standard output is for the result."""
    print(line, file=sys.stderr, flush=True)


def print_result(result: dict[str, Any]) -> None:
    """Print the result: one JSON object as the last line."""
    print(json.dumps(result), flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary directory for the length of a run."""
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
    """A platform with a SQLite ledger and a local store, on which the benchmark starts web tier and workers.

    Its settings also apply to this process: import modules that read settings only inside the block.
    """
    platform = Platform(home / "platform", broker_url)
    del platform.environment["BULKHEAD_WEB_PROCESSES"]  # measure the default
    os.environ.update(platform.environment)
    try:
        yield platform
    finally:
        platform.stop()
