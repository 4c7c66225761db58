"""Units that start before their broker, and a web tier that hangs."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import psutil
import pytest

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import NotInstalled
from tasks.jobs import State
from tests.conftest import Broker, skip_or_fail
from tests.integration.jobs.renders import Renders, eventually
from tests.services.platform import Platform
from tests.services.processes import is_gone
from tests.services.units import Units, running_units

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

RENDER, MAINTENANCE, WEB = "bulkhead-render@1", "bulkhead-maintenance", "bulkhead-web"

# Seconds after which systemd would give up a start, and after which it restarts a unit that does not answer.
START = "[Service]\nTimeoutStartSec=30\n"
WATCHDOG = "[Service]\nWatchdogSec=10\n"


class LateBroker:
    """An address at which the broker can be reached only inside `arrives`."""

    def __init__(self, broker: Broker, port: int) -> None:
        account, _, self._target = broker.url.removesuffix("//").rpartition("@")
        self.url = f"{account}@{LOOPBACK}:{port}//"
        self._port = port

    @contextmanager
    def arrives(self) -> Iterator[None]:
        """Forward the address to the broker."""
        listener = f"TCP-LISTEN:{self._port},bind={LOOPBACK},reuseaddr,fork"
        with subprocess.Popen(["socat", listener, f"TCP:{self._target}"], start_new_session=True) as process:
            try:
                yield
            finally:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()


@pytest.fixture(scope="module")
def late_broker(session_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> LateBroker:
    session_broker.reset()
    ports = tmp_path_factory.mktemp("late") / "ports.json"
    return LateBroker(session_broker, assign_ports(ports, ["broker"])["broker"])


@pytest.fixture(scope="module")
def units(session_broker: Broker, late_broker: LateBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Units]:
    """A host whose broker is away."""
    home = tmp_path_factory.mktemp("starts")
    platform = Platform(home / "platform", session_broker.url)
    drop_ins = {"bulkhead-render@": START, MAINTENANCE: START, WEB: WATCHDOG}
    settings = {"BULKHEAD_BROKER_URL": late_broker.url}
    try:
        with running_units(home / "host", platform, settings=settings, drop_ins=drop_ins) as units:
            units.systemd.run("bulkhead", "migrate")
            yield units
    except NotInstalled as error:
        skip_or_fail(error)


def wait_for_status(units: Units, status: str) -> None:
    """Wait until both workers report the status to systemd."""
    eventually(lambda: {units.systemd.show(unit, "StatusText") for unit in (RENDER, MAINTENANCE)} == {status})


def server_processes(units: Units) -> list[psutil.Process]:
    """The processes of the web tier that serve requests."""
    main = psutil.Process(units.systemd.main_pid(WEB))
    return [child for child in main.children() if "spawn_main" in " ".join(child.cmdline())]


def test_given_no_broker_when_workers_start_then_the_start_succeeds_and_jobs_run_once_the_broker_is_there(
    units: Units, late_broker: LateBroker
) -> None:
    units.start(RENDER, MAINTENANCE)
    wait_for_status(units, "Waiting for the broker.")
    assert "Connection refused" in units.systemd.journal(RENDER)

    with late_broker.arrives(), closing(Renders(units.platform)) as renders:
        wait_for_status(units, "Consuming jobs.")
        job = renders.finished(renders.submit())
        assert job.state is State.SUCCEEDED
        assert {units.systemd.show(unit, "NRestarts") for unit in (RENDER, MAINTENANCE)} == {"0"}


def test_given_a_web_tier_when_one_of_its_processes_hangs_then_it_is_replaced(units: Units) -> None:
    units.start(WEB)
    processes = server_processes(units)
    processes[0].send_signal(signal.SIGSTOP)

    assert is_gone(processes[0], seconds=60)
    eventually(lambda: len(server_processes(units)) == len(processes))
    assert units.systemd.show(WEB, "NRestarts") == "0"
    assert httpx.get(f"{units.platform.url}/healthz", timeout=30).status_code == 200


def test_given_a_web_tier_when_none_of_its_processes_runs_then_systemd_restarts_it(units: Units) -> None:
    units.start(WEB)
    main = psutil.Process(units.systemd.main_pid(WEB))
    for process in (main, *main.children(recursive=True)):
        process.send_signal(signal.SIGSTOP)

    eventually(lambda: units.systemd.show(WEB, "NRestarts") == "1")
    eventually(lambda: units.systemd.show(WEB, "ActiveState") == "active")
    assert "Watchdog timeout" in units.systemd.journal(WEB)
    assert httpx.get(f"{units.platform.url}/healthz", timeout=30).status_code == 200
