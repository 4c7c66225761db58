"""Our units under a real systemd: hardened, limited, watched and restarted without loss."""

import os
import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest

from benchmarks.support import drawings
from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import NotInstalled
from tasks.jobs import Job, Outcome, State
from tests.conftest import Broker, skip_or_fail
from tests.integration.jobs.renders import Renders, drawing, eventually
from tests.services.platform import Platform
from tests.services.units import DIRECTORY, Units, running_units, with_option
from tests.system.storms.chaos_run import drawing as chaos_drawing
from tests.system.storms.clients import Clients
from tests.system.storms.faulty_engine import BOMB, svg_with_fault
from tests.system.storms.sample_drawings import FORMATS

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

WORKERS = ("bulkhead-render@1", "bulkhead-render@2")
OTHERS = (
    "bulkhead-web",
    "bulkhead-tiles@1",
    "bulkhead-maintenance",
    "bulkhead-scheduler",
    "bulkhead-heartbeats",
    "bulkhead-flower",
)

# Without a password the dashboard does not start.
PASSWORD = "operator:dashboard-of-the-units"
PASSWORD_FILE = "/etc/bulkhead/credentials/FLOWER_BASIC_AUTH"

# Seconds without a ping after which systemd restarts a parent here.
WATCHDOG = 4

# Lines of a drawing that takes long enough to interrupt it.
LONG = 8_000

# Drawings that are submitted while every unit is restarted, and seconds between two of them.
DRAWINGS, INTERVAL = 60, 0.4


@pytest.fixture(scope="module")
def units(session_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Units]:
    """All units, with two render workers whose engine has the fault that a drawing names."""
    session_broker.reset()
    home = tmp_path_factory.mktemp("units")
    platform = Platform(home / "platform", session_broker.url)
    converter = platform.directory / "converter"  # a program may read its own directory
    converter.mkdir()
    (converter / "converted.dxf").write_bytes(FORMATS["dxf"]())
    (converter / "convert").write_text('#!/bin/sh\ncp "${0%/*}/converted.dxf" "$1"\n')
    (converter / "convert").chmod(0o755)
    settings = {
        "BULKHEAD_DWG_CONVERTER": f"{DIRECTORY}/converter/convert {{target}}",
        "FLOWER_PORT": str(assign_ports(home / "ports.json", ["flower"])["flower"]),
        "FLOWER_BASIC_AUTH": PASSWORD,
    }
    worker = with_option("bulkhead-render@", "--include faulty_engine") + f"WatchdogSec={WATCHDOG}\n"
    try:
        with running_units(home / "host", platform, settings=settings, drop_ins={"bulkhead-render@": worker}) as units:
            units.systemd.run("bulkhead", "migrate")
            units.start(*OTHERS, *WORKERS)
            yield units
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture
def sent(units: Units) -> Iterator[Renders]:
    sent = Renders(units.platform)
    yield sent
    sent.close()


def submit(units: Units, content: bytes, filename: str = "sheet.svg", **options: str) -> str:
    """Submit a drawing. Returns the id of its job."""
    url = f"{units.platform.url}/renders"
    response = httpx.post(url, files={"blueprint": (filename, content)}, data={"width": "256", **options}, timeout=30)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def parent_of(units: Units, sent: Renders, job: str) -> tuple[str, psutil.Process]:
    """The unit whose child runs the job, and its parent process."""
    pid_inside = eventually(lambda: (sent.find(job).lease_owner or "::").split(":")[1])
    child = psutil.Process(units.systemd.outside(int(pid_inside)))
    unit = next(unit for unit in WORKERS if units.systemd.main_pid(unit) == child.ppid())
    return unit, psutil.Process(child.ppid())


def restarts(units: Units) -> list[str]:
    """How often systemd has restarted each worker."""
    return [units.systemd.show(unit, "NRestarts") for unit in WORKERS]


def describe(sent: Renders, job: Job) -> list[str]:
    """State and attempts of the job, for the message of a failed assertion."""
    attempts = [
        f"{attempt.number}: {attempt.outcome} {attempt.cause or ''} {attempt.explanation or ''}"
        for attempt in sent.history(job.id)
    ]
    return [f"{job.state} {job.error or ''}", *attempts]


@pytest.mark.parametrize("suffix", FORMATS)
def test_given_the_hardened_units_when_a_drawing_of_each_format_is_submitted_then_it_is_rendered_with_tiles(
    units: Units, sent: Renders, suffix: str
) -> None:
    job = sent.finished(submit(units, FORMATS[suffix](), f"sheet.{suffix}", tiles="true"))

    assert (job.state, job.error, job.attempt) == (State.SUCCEEDED, None, 1), describe(sent, job)


def test_given_a_memory_bomb_then_only_its_children_are_killed_and_the_cause_is_recorded(
    units: Units, sent: Renders
) -> None:
    before = restarts(units)
    bomb = submit(units, svg_with_fault(drawings.svg(100), BOMB, 30))
    neighbours = [submit(units, drawings.svg(number)) for number in range(101, 121)]

    dead = sent.finished(bomb)

    assert (dead.state, dead.crashes, dead.worker_losses) == (State.DEAD, 3, 0)
    assert dead.error is not None
    assert dead.error["code"] == "out-of-memory"
    assert [attempt.cause for attempt in sent.history(bomb)] == ["out-of-memory"] * 3
    assert sent.dead_letter(bomb).reason == "rejected"
    for job in map(sent.finished, neighbours):
        assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 1, 0), describe(sent, job)
    assert restarts(units) == before
    assert [units.systemd.show(unit, "ActiveState") for unit in WORKERS] == ["active", "active"]


def test_given_a_parent_whose_event_loop_hangs_then_the_watchdog_restarts_it_and_its_job_succeeds(
    units: Units, sent: Renders
) -> None:
    before = restarts(units)
    job_id = submit(units, drawing(LONG), "heavy.dxf")
    unit, parent = parent_of(units, sent, job_id)

    parent.send_signal(signal.SIGSTOP)

    eventually(lambda: restarts(units) != before)
    job = sent.finished(job_id)
    assert (job.state, job.crashes) == (State.SUCCEEDED, 0), describe(sent, job)
    eventually(lambda: units.systemd.show(unit, "ActiveState") == "active")


def test_given_a_stream_of_drawings_when_every_unit_is_restarted_then_each_is_accepted_and_rendered_once(
    units: Units, sent: Renders
) -> None:
    clients = Clients(
        units.platform.url,
        DRAWINGS,
        lambda number: chaos_drawing(number, seed=9),
        name="rolling",
        threads=3,
        interval=INTERVAL,
    )
    clients.start()
    try:
        for unit in (*WORKERS, *OTHERS):
            units.systemd.systemctl("restart", unit)
        eventually(lambda: not clients.is_busy)
    finally:
        clients.stop()

    assert clients.responses.errors == []
    assert len(clients.responses.jobs) == DRAWINGS
    for job in map(sent.finished, clients.responses.jobs.values()):
        assert (job.state, job.crashes) == (State.SUCCEEDED, 0), describe(sent, job)
        assert [attempt.outcome for attempt in sent.history(job.id)] == [Outcome.SUCCEEDED], describe(sent, job)
    assert {units.systemd.show(unit, "Result") for unit in (*WORKERS, *OTHERS)} == {"success"}


def test_given_a_running_job_when_its_unit_is_stopped_then_the_job_finishes_first(units: Units, sent: Renders) -> None:
    job_id = submit(units, drawing(LONG, seed=300), "heavy.dxf")
    unit, _parent = parent_of(units, sent, job_id)

    units.systemd.systemctl("stop", unit)

    job = sent.find(job_id)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1), describe(sent, job)
    assert (units.systemd.show(unit, "Result"), units.systemd.show(unit, "ActiveState")) == ("success", "inactive")
    units.start(unit)


def test_given_the_installed_units_then_systemd_reports_no_error_and_low_exposure(units: Units) -> None:
    names = [path.name for path in (units.files / "usr/lib/systemd/system").iterdir() if path.is_file()]

    output = units.systemd.run(
        "systemd-analyze", "verify", "--man=no", *(f"/lib/systemd/system/{name}" for name in names)
    )

    assert output == ""
    for name in names:
        if name.endswith(".service"):
            units.systemd.run(
                "systemd-analyze", "security", "--offline=true", "--threshold=12", f"/lib/systemd/system/{name}"
            )


def test_given_a_render_unit_then_the_kernel_limits_its_disk_reads(units: Units) -> None:
    if not os.major(units.files.stat().st_dev):
        pytest.skip("the directory of the tests is not on a disk")
    for unit in WORKERS:
        group = units.systemd.show(unit, "ControlGroup")
        files = (f"/sys/fs/cgroup{group}/io.max", f"/sys/fs/cgroup/blkio{group}/blkio.throttle.read_bps_device")
        assert "100000000" in units.systemd.run("cat", *files, check=False)


def test_given_the_dashboard_then_it_requires_its_password_and_does_not_start_without_one(units: Units) -> None:
    settings = dict(line.split("=", 1) for line in (units.files / "etc/bulkhead/bulkhead.env").read_text().splitlines())
    url = f"http://{LOOPBACK}:{settings['FLOWER_PORT']}/api/workers?refresh=true"
    name, _, password = PASSWORD.partition(":")
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=30) as client:  # it may still be starting
        assert client.get(url).status_code == 401
        workers = eventually(lambda: client.get(url, auth=(name, password)).json())
    assert {"render1", "render2", "tiles1"} <= {worker.split("@")[0] for worker in workers}

    units.systemd.run("mv", PASSWORD_FILE, "/root/password")
    units.systemd.systemctl("restart", "bulkhead-flower")
    assert units.systemd.show("bulkhead-flower", "ActiveState") == "inactive"
    assert units.systemd.show("bulkhead-flower", "ConditionResult") == "no"

    units.systemd.run("mv", "/root/password", PASSWORD_FILE)
    units.systemd.systemctl("start", "bulkhead-flower")
    assert units.systemd.show("bulkhead-flower", "ActiveState") == "active"


def test_given_a_host_with_units_then_the_command_line_uses_their_settings(units: Units) -> None:
    output = units.systemd.run("bulkhead", "doctor", check=False)
    assert "RabbitMQ answers" in output
    assert "No unit can read those of another." in output


def test_given_all_tests_of_this_module_then_no_other_unit_was_restarted(units: Units) -> None:
    assert {unit: units.systemd.show(unit, "NRestarts") for unit in OTHERS} == dict.fromkeys(OTHERS, "0")
    assert {unit: units.systemd.show(unit, "ActiveState") for unit in OTHERS} == dict.fromkeys(OTHERS, "active")
    eventually(lambda: "This scheduler is active." in units.systemd.journal("bulkhead-scheduler"))
