"""The processes of the platform itself: web tier, workers, scheduler and coalescer, and when each is ready."""

import os
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
from tasks.messaging.topology import WEBHOOKS
from tasks.utils.python_path import safe_environment

# Seconds that a running render gets to finish when the platform stops. The next `up` runs it again.
WORKER_STOP_TIMEOUT = 10

# Seconds that the coalescer gets to write what it has read.
COALESCER_STOP_TIMEOUT = 15

# Time limit of one readiness probe, seconds.
PROBE_TIMEOUT = 1.0

# Secrets of the web tier and of the webhooks, and what other processes have in their place. `bulkhead up` keeps the
# secrets in a file; the environment comes before it.
WITHHELD = {
    "BULKHEAD_LINK_SECRET": "",
    "BULKHEAD_TOKENS": "{}",
    "BULKHEAD_PLANT_TOKENS": "{}",
    "BULKHEAD_WEBHOOK_SECRETS": "{}",
}

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - an address to connect to


def web_url(host: str, port: int) -> str:
    """The URL at which a client on this machine reaches the web tier that listens on `host` and `port`."""
    reachable = ANY_ADDRESS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def web_program(host: str, port: int, environment: Mapping[str, str], directory: Path) -> Program:
    """The web tier, listening on `host` and `port`."""
    return Program(
        name="web",
        command=(sys.executable, "-P", "-m", "web"),
        is_ready=lambda: _is_healthy(f"{web_url(host, port)}/healthz"),
        environment=_environment({**environment, "BULKHEAD_HOST": host, "BULKHEAD_PORT": str(port)}),
        directory=directory,
    )


def worker_program(
    name: str, queue: str, broker_url: str, environment: Mapping[str, str], directory: Path, *options: str
) -> Program:
    """A Celery worker with one child that consumes only from `queue`; `options` are Celery's."""
    node = f"{name}@{socket.gethostname()}"
    kept = "BULKHEAD_WEBHOOK_SECRETS" if queue == WEBHOOKS else ""
    withheld = {secret: value for secret, value in WITHHELD.items() if secret != kept}
    arguments = ["worker", "-Q", queue, "-c", "1", "-n", node, "--loglevel", "INFO"]
    # Workers share no state, and looking for other workers takes a second at every start.
    arguments += ["--without-mingle", "--without-gossip", *options]
    return Program(
        name=name,
        command=(sys.executable, "-P", "-m", "tasks", *arguments),
        is_ready=lambda: _answers_ping(broker_url, node),
        environment=_environment({**environment, **withheld}),
        directory=directory,
        stop_timeout=WORKER_STOP_TIMEOUT,
    )


def scheduler_program(schedule: Path, environment: Mapping[str, str], directory: Path) -> Program:
    """Celery's scheduler, which publishes periodic tasks to the maintenance queue; `schedule` is its state file.

    It is a separate program because a worker's embedded scheduler (`-B`) outlives a worker that is killed.
    """
    arguments = ["beat", "--schedule", str(schedule), "--pidfile", "", "--loglevel", "INFO"]
    return Program(
        name="beat",
        command=(sys.executable, "-P", "-m", "tasks", *arguments),
        is_ready=lambda: True,
        environment=_environment({**environment, **WITHHELD}),
        directory=directory,
    )


def coalescer_program(name: str, environment: Mapping[str, str], directory: Path) -> Program:
    """A coalescer of heartbeats. Of several, one is active and the others stand by."""
    return Program(
        name=name,
        command=(sys.executable, "-P", "-m", "workers.heartbeats"),
        is_ready=lambda: True,
        environment=_environment({**environment, **WITHHELD}),
        directory=directory,
        stop_timeout=COALESCER_STOP_TIMEOUT,
    )


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for a process that must not import modules of the user's from the current directory."""
    safe = safe_environment({**os.environ, **environment})
    return {**environment, **{name: safe[name] for name in ("PYTHONPATH", "PYTHONSAFEPATH")}}


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
