"""The example with native code and PHP, as its page describes it, with a real RabbitMQ."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.embedded.process import Process, Program
from tests.conftest import Broker
from tests.services.platform import ROOT

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]


def test_given_the_example_then_its_page_shows_what_it_prints(broker: Broker, tmp_path: Path) -> None:
    if not shutil.which("php"):
        pytest.skip("php-cli is not installed")
    environment = {"BROKER_URL": broker.url, "FILES": str(tmp_path), "PYTHONPATH": str(ROOT)}
    (tmp_path / "thumbnails").mkdir()
    options = ("-l", "INFO", "-n", "examples@%h", "--without-mingle")
    program = Program(
        name="examples",
        command=(sys.executable, "-m", "celery", "-A", "examples.sandboxed_tasks.app", "worker", *options),
        is_ready=lambda: "ready." in worker.log.read_text(),
        environment=environment,
        directory=ROOT,
    )
    worker = Process(program, tmp_path / "log")
    worker.start()
    try:
        worker.wait_ready()
        ended = subprocess.run(
            [sys.executable, "-m", "examples.sandboxed_tasks", str(tmp_path)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=90,
        )
    finally:
        worker.stop()
    assert ended.returncode == 0, ended.stderr
    page = (ROOT / "docs/guides/sandboxed-tasks.md").read_text()
    for line in ended.stdout.splitlines():
        text, _, _figures = line.partition(" had run for")
        assert text.replace("imagick", "gd") in page
    assert len(list((tmp_path / "thumbnails").glob("*/thumbnail.png"))) == 1
