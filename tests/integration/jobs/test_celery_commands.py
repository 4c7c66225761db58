"""`celery -A tasks worker | inspect | flower` work as a Celery user expects."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import Program
from tasks.jobs import State
from tests.integration.jobs.renders import Renders, eventually
from tests.services.platform import ROOT, Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(150)]

PASSWORD = "operator:dashboard-of-the-tests"


def celery(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `celery -A tasks ...` like an operator."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **platform.environment},
        cwd=platform.directory,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_given_a_worker_then_inspect_lists_it_with_its_task_and_queue(platform: Platform) -> None:
    platform.start_worker()

    pong = celery(platform, "inspect", "ping", "--json")
    registered = celery(platform, "inspect", "registered", "--json")
    queues = celery(platform, "inspect", "active_queues", "--json")

    assert pong.returncode == 0, pong.stderr
    (node,) = json.loads(pong.stdout)
    assert node.startswith("render1@")
    assert json.loads(pong.stdout)[node] == {"ok": "pong"}
    assert "render.blueprint" in json.loads(registered.stdout)[node]
    assert [queue["name"] for queue in json.loads(queues.stdout)[node]] == ["render"]


def test_given_no_worker_then_inspect_ping_fails(platform: Platform) -> None:
    result = celery(platform, "inspect", "ping", "--timeout", "1")

    assert result.returncode != 0
    assert "No nodes replied within time constraint" in result.stderr


def test_given_a_worker_when_it_starts_then_its_log_has_no_error(platform: Platform) -> None:
    platform.start_worker()

    log = (platform.directory / "log" / "render1.log").read_text()

    assert "render1@" in log
    assert "ERROR" not in log
    assert "CRITICAL" not in log
    assert "Traceback" not in log


def test_given_the_password_then_flower_lists_the_worker_and_the_finished_task(
    platform: Platform, sent: Renders
) -> None:
    port = assign_ports(platform.directory / "flower.json", ["flower"])["flower"]
    url = f"http://{LOOPBACK}:{port}"
    program = (sys.executable, "-m", "celery", "-A", "tasks", "flower", f"--address={LOOPBACK}", f"--port={port}")
    platform.start_worker()
    flower = platform.start(
        Program(
            name="flower",
            command=program,
            is_ready=lambda: fetch(f"{url}/api/workers", PASSWORD) is not None,
            environment={
                "PYTHONPATH": str(ROOT),
                **platform.environment,
                "FLOWER_BASIC_AUTH": PASSWORD,
                "HOME": str(Path(platform.directory)),
            },
            directory=platform.directory,
        )
    )

    job_id = sent.submit()
    sent.finished(job_id)

    workers = eventually(lambda: fetch(f"{url}/api/workers?refresh=true", PASSWORD))
    assert [node.split("@")[0] for node in workers] == ["render1"]
    task = eventually(lambda: in_state("SUCCESS", fetch(f"{url}/api/tasks", PASSWORD), job_id))
    assert task["name"] == "render.blueprint"

    message = sent.make()
    sent.accept(message)
    (platform.store / message.source).unlink()
    sent.publish(message)
    task = eventually(lambda: in_state("FAILURE", fetch(f"{url}/api/tasks", PASSWORD), message.job))
    assert task["exception"] == "The blueprint is no longer in the store. Send it again."
    assert fetch(f"{url}/api/task/types", PASSWORD) == {"task-types": ["render.blueprint"]}

    for path in ("/", "/tasks", "/api/workers", "/api/tasks", f"/api/task/info/{job_id}"):
        assert [error_status(url + path, password) for password in (None, "operator:wrong")] == [401, 401], path
    visible = [*psutil.Process(flower.pid).cmdline(), (platform.directory / "log" / "flower.log").read_text()]
    assert not any(PASSWORD.partition(":")[2] in text for text in visible)


def make_request(url: str, password: str | None) -> urllib.request.Request:
    headers = {"Authorization": f"Basic {b64encode(password.encode()).decode()}"} if password else {}
    return urllib.request.Request(url, headers=headers)  # noqa: S310 -- always http


def fetch(url: str, password: str) -> Any:
    """The JSON at `url`; None while result answers."""
    try:
        with urllib.request.urlopen(make_request(url, password), timeout=10) as response:  # noqa: S310
            return json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return None


def error_status(url: str, password: str | None) -> int:
    """The status of an error response, 0 for a successful one."""
    try:
        with urllib.request.urlopen(make_request(url, password), timeout=10):  # noqa: S310
            return 0
    except urllib.error.HTTPError as error:
        return error.code


def in_state(state: str, tasks: dict[str, Any] | None, job_id: str) -> Any:
    """The task of this job if it has this state in Flower."""
    task = (tasks or {}).get(job_id)
    return task if task and task["state"] == state else None


def test_given_an_id_that_was_revoked_before_its_job_was_accepted_then_the_job_runs(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker()
    message = sent.make()

    revoked = celery(platform, "control", "revoke", message.job)
    assert revoked.returncode == 0, revoked.stderr
    sent.accept(message)
    sent.publish(message)

    assert sent.finished(message.job).state is State.SUCCEEDED
