"""The platform's own processes: web tier, render workers, maintenance. How they are started and when they are ready."""

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from celery import Celery

from cli.embedded.process import Program
from tasks.messaging.connections import BROKER_ERRORS

# Seconds that a running render gets to finish when the platform stops. It is started anew by the next `up`.
WORKER_STOP_TIMEOUT = 10

# Seconds that the coalescer gets to write what it has read.
COALESCER_STOP_TIMEOUT = 15

# Seconds that one question "are you there?" may take.
PROBE_TIMEOUT = 1.0

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - how to reach who listens there


def web_url(host: str, port: int) -> str:
    """Where a client on this machine reaches the web tier that listens on `host` and `port`."""
    reachable = ANY_ADDRESS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def web_program(host: str, port: int, environment: Mapping[str, str], directory: Path) -> Program:
    """The web tier, listening on `host` and `port`."""
    return Program(
        name="web",
        command=(sys.executable, "-m", "web"),
        is_ready=lambda: _is_healthy(f"{web_url(host, port)}/healthz"),
        environment={**environment, "BULKHEAD_HOST": host, "BULKHEAD_PORT": str(port)},
        directory=directory,
    )


def worker_program(
    name: str, queue: str, broker_url: str, environment: Mapping[str, str], directory: Path, *options: str
) -> Program:
    """A Celery worker of one child that takes from `queue`, and from it alone; `options` are Celery's own."""
    node = f"{name}@{socket.gethostname()}"
    arguments = ["-A", "tasks", "worker", "-Q", queue, "-c", "1", "-n", node, "--loglevel", "INFO"]
    # Workers share no state among themselves: asking who else is there would cost a second at every start.
    arguments += ["--without-mingle", "--without-gossip", *options]
    return Program(
        name=name,
        command=(sys.executable, "-m", "celery", *arguments),
        is_ready=lambda: _answers_ping(broker_url, node),
        environment=environment,
        directory=directory,
        stop_timeout=WORKER_STOP_TIMEOUT,
    )


def scheduler_program(schedule: Path, environment: Mapping[str, str], directory: Path) -> Program:
    """Celery's clock, which sends what is due to the maintenance queue; `schedule` is the file it remembers times in.

    A program of its own because a worker's embedded clock (`-B`) would outlive a worker that is killed.
    """
    arguments = ["-A", "tasks", "beat", "--schedule", str(schedule), "--pidfile", "", "--loglevel", "INFO"]
    return Program(
        name="beat",
        command=(sys.executable, "-m", "celery", *arguments),
        is_ready=lambda: True,
        environment=environment,
        directory=directory,
    )


def coalescer_program(name: str, environment: Mapping[str, str], directory: Path) -> Program:
    """A coalescer of heartbeats. Of several, one works and the others stand by."""
    return Program(
        name=name,
        command=(sys.executable, "-m", "workers.heartbeats"),
        is_ready=lambda: True,
        environment=environment,
        directory=directory,
        stop_timeout=COALESCER_STOP_TIMEOUT,
    )


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT) as response:  # noqa: S310 - always http
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _answers_ping(broker_url: str, node: str) -> bool:
    with Celery(broker=broker_url, set_as_current=False) as app, suppress(*BROKER_ERRORS):
        return bool(app.control.ping(destination=[node], timeout=PROBE_TIMEOUT))
    return False
