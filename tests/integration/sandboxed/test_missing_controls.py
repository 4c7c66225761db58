"""A system without Landlock: what requires the sandbox does not start, everything else says what is missing."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cli.embedded.process import Process, StartFailed
from cli.embedded.programs import worker_program
from examples.pump_station.drawing import draw, save
from tasks.jobs import State
from tasks.messaging.topology import RENDER
from tests.integration.jobs.renders import Renders
from tests.services.platform import ROOT, Platform
from workers.sandbox.confinement.landlock import MISSING

pytestmark = [pytest.mark.timeout(180)]

WRAPPER = (sys.executable, "-m", "tests.services.faults.without_landlock")
REMEDY = "set BULKHEAD_SANDBOX=best-effort."


def run_without_landlock(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WRAPPER, sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    path = tmp_path / "drawing.dxf"
    save(draw(), path)
    return path


def test_given_a_required_sandbox_then_the_command_does_not_render(drawing: Path, tmp_path: Path) -> None:
    arguments = ("-m", "cli", "render", str(drawing), "--out", str(tmp_path / "out"))
    ended = run_without_landlock(*arguments, BULKHEAD_SANDBOX="required")
    assert ended.returncode == 3
    assert MISSING in ended.stderr
    assert REMEDY in ended.stderr
    assert not (tmp_path / "out").exists()


def test_given_the_defaults_on_loopback_then_the_command_warns_and_renders(drawing: Path, tmp_path: Path) -> None:
    ended = run_without_landlock("-m", "cli", "render", str(drawing), "--out", str(tmp_path / "out"), "--width", "256")
    assert ended.returncode == 0, ended.stderr
    assert f"Warning: renders run without the control landlock of the sandbox. {MISSING}" in ended.stderr
    assert (tmp_path / "out/manifest.json").exists()


def test_given_a_public_address_then_up_does_not_start(tmp_path: Path) -> None:
    settings = {"BULKHEAD_VAR": str(tmp_path / "var"), "BULKHEAD_PORT": "1"}
    ended = run_without_landlock("-m", "cli", "up", "--host", "192.0.2.1", **settings)
    assert ended.returncode == 3
    assert MISSING in ended.stderr


@pytest.mark.service
def test_given_a_required_sandbox_then_the_worker_ends_with_one_line_and_exit_code_3(platform: Platform) -> None:
    worker = worker_without_landlock(platform, sandbox="required")
    with pytest.raises(StartFailed):
        platform.adopt(worker)
    assert worker.describe_exit() == "it ended with exit code 3"
    (line,) = [line for line in worker.log.read_text().splitlines() if "does not start" in line]
    assert MISSING in line
    assert REMEDY in line


@pytest.mark.service
def test_given_best_effort_then_the_worker_warns_and_renders(platform: Platform, sent: Renders) -> None:
    worker = platform.adopt(worker_without_landlock(platform, sandbox="best-effort"))
    assert f"Renders run without the control landlock of the sandbox. {MISSING}" in worker.log.read_text()
    message = sent.make()
    sent.publish(message)
    assert sent.finished(message.job).state is State.SUCCEEDED


@pytest.mark.service
def test_given_a_zygote_that_cannot_start_then_jobs_are_given_back_at_once(platform: Platform, sent: Renders) -> None:
    worker = platform.start_worker("render1", "--include", "tests.services.faults.broken_zygote")
    message = sent.make()
    sent.publish(message)
    deadline = time.monotonic() + 20
    while not (history := [attempt for attempt in sent.history(message.job) if attempt.cause]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert history[0].cause == "sandbox-unavailable"
    assert "No module named 'nosuch'" in (history[0].explanation or "")
    assert sent.find(message.job).crashes == 0
    assert worker.log.read_text().count("Nothing runs until the sandbox starts") == 1


def worker_without_landlock(platform: Platform, **settings: str) -> Process:
    environment = platform.environment_with(**settings)
    program = worker_program("render1", RENDER, platform.broker_url, environment, platform.directory)
    return Process(replace(program, command=(*WRAPPER, *program.command)), platform.directory / "log")
