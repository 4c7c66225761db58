"""`bulkhead up` from an empty directory: everything starts, only one instance runs, and nothing is left running."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cli.embedded.environment import read_environment_file
from cli.embedded.ports import assign_ports
from cli.embedded.process import NotInstalled
from cli.embedded.rabbitmq import prepare_rabbitmq
from tests.conftest import skip_or_fail
from tests.services.processes import alive, is_gone

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Site:
    """A directory in which the platform is started."""

    directory: Path
    port: int
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def up(self) -> subprocess.Popen[str]:
        """Start `bulkhead up --workers 1`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BULKHEAD_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--workers", "1", "--port", str(self.port)],
            cwd=self.directory,
            env={**clean, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        return process

    def until(self, process: subprocess.Popen[str], text: str) -> str:
        """The output of `up` until `text`, within the time limit of the test."""
        assert process.stdout is not None
        printed = ""
        while text not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        return printed


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    try:
        prepare_rabbitmq(tmp_path / "probe")
    except NotInstalled as error:
        skip_or_fail(error)
    site = Site(tmp_path, assign_ports(tmp_path / "ports.json", ["web"])["web"])
    yield site
    for process in site.running:
        with process:
            process.terminate()


def answer(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - a URL of our own
        return int(response.status)


def test_given_an_empty_directory_then_up_serves_rejects_a_second_instance_and_recovers_from_a_kill(site: Site) -> None:
    first = site.up()
    screen = site.until(first, "stop     Ctrl-C")
    family = psutil.Process(first.pid).children(recursive=True)

    assert f"http://127.0.0.1:{site.port}/" in screen
    assert answer(f"http://127.0.0.1:{site.port}/readyz") == 200
    seen = list(alive(family))
    assert {"epmd", "beam.smp"} <= {name for name, _arguments in seen}
    broker_url = read_environment_file(site.directory / "var" / "bulkhead.env")["BULKHEAD_BROKER_URL"]
    password = broker_url.split(":")[2].split("@")[0]
    assert password not in json.dumps([arguments for _name, arguments in seen])
    assert [log.name for log in (site.directory / "var/log").iterdir() if password in log.read_text()] == []

    second = site.up()
    assert site.until(second, "directory.").strip() == (
        f"bulkhead up is already running in {site.directory}/var (process {first.pid}). "
        f"Stop it with `kill {first.pid}`, or set BULKHEAD_VAR to another directory."
    )
    assert second.wait(10) == 2

    first.kill()
    first.wait(10)
    assert [process for process in family if not is_gone(process, seconds=10)] == []

    third = site.up()
    site.until(third, "stop     Ctrl-C")
    family = psutil.Process(third.pid).children(recursive=True)
    assert read_environment_file(site.directory / "var" / "bulkhead.env")["BULKHEAD_BROKER_URL"] == broker_url

    third.send_signal(signal.SIGINT)
    assert third.wait(30) == 0
    assert [process for process in family if not is_gone(process)] == []


def test_given_a_stop_during_the_start_then_up_stops_and_nothing_is_left_running(site: Site) -> None:
    process = site.up()
    site.until(process, "epmd is ready")
    family = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 0
    assert [process for process in family if not is_gone(process)] == []
