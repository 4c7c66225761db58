"""A worker refuses to start with any pool but Bulkhead's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.platform import ROOT

REASON = (
    "The pool '{}' cannot run Bulkhead's jobs. A worker needs Bulkhead's prefork pool, because it runs each job in a "
    "child process with limits of its own and survives the crash of a child. Start the worker without -P (--pool). To "
    "run several jobs at once, use -c (--concurrency).\n"
)


def start(directory: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Start a worker, or run `code`, without any service."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "BULKHEAD_BROKER_URL": "amqp://127.0.0.1:1",
        "BULKHEAD_VAR": str(directory / "var"),
        "CELERY_CUSTOM_WORKER_POOL": "celery.concurrency.thread:TaskPool",
        "PYTHONWARNINGS": "ignore",  # Celery warns about root
    }
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else arguments)],
        env={**os.environ, **environment},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("queue", "options", "name"),
    [
        ("render", ["-P", "threads"], "threads"),
        ("maintenance", ["--pool", "solo"], "solo"),
        ("webhooks", ["--pool=processes"], "processes"),
        ("tickets", ["-P", "custom"], "threads"),
    ],
)
def test_given_another_pool_then_the_worker_does_not_start_and_says_why_in_one_line(
    tmp_path: Path, queue: str, options: list[str], name: str
) -> None:
    result = start(tmp_path, "-m", "celery", "-A", "tasks", "worker", "-Q", queue, *options)

    assert (result.returncode, result.stdout, result.stderr) == (2, "", REASON.format(name))


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_given_a_pool_whose_library_is_not_installed_then_our_entry_point_gives_the_same_reason(
    tmp_path: Path, name: str
) -> None:
    result = start(tmp_path, "-m", "tasks", "worker", "-P", name)

    assert (result.returncode, result.stderr) == (2, REASON.format(name))


@pytest.mark.parametrize("call", ["app.worker_main(['worker', '-P', 'solo'])", "app.Worker(pool='solo')"])
def test_given_another_pool_in_a_program_then_it_exits_with_the_same_reason(tmp_path: Path, call: str) -> None:
    result = start(tmp_path, code=f"from tasks import app; {call}")

    assert (result.returncode, result.stderr) == (2, REASON.format("solo"))


def test_given_another_pool_and_a_log_file_then_the_reason_is_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"

    result = start(tmp_path, "-m", "celery", "-A", "tasks", "worker", "-P", "solo", "--logfile", str(log))

    assert result.returncode == 2
    assert log.read_text().endswith(f"CRITICAL/MainProcess] {REASON.format('solo')}")
