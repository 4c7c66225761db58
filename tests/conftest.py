"""Fixtures that start real services. If a service is missing, a test is skipped; where CI is set, it fails."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from cli.embedded.process import NotInstalled, Process
from cli.embedded.rabbitmq import RabbitmqNode, prepare_rabbitmq
from cli.embedded.redis import prepare_redis
from cli.embedded.supervisor import Supervisor
from tests.services.fleet import Fleet, running_fleet
from tests.services.mariadb import MariaDb
from tests.services.platform import Platform, delete_queues

FAILED = pytest.StashKey[bool]()


class Broker:
    """The RabbitMQ node of the session. Tests may kill and restart its process."""

    def __init__(self, node: RabbitmqNode, supervisor: Supervisor) -> None:
        self.url = node.url
        self.stream_url = node.stream_url
        self.process: Process = supervisor.process("rabbitmq")
        self._data = node.data_directory
        self._original_pid = self.process.pid

    def reset(self) -> None:
        """Make sure that the node runs and holds nothing of earlier tests.

        A node that was killed is created anew: deleting quorum queues while they recover crashes the dead-letter
        supervisor of RabbitMQ 3.10, and every later queue with it.
        """
        if self.process.describe_exit() or self.process.pid != self._original_pid:
            self.process.kill()
            shutil.rmtree(self._data)
            self.process.start()
            self.process.wait_ready()
            self._original_pid = self.process.pid
        else:
            delete_queues(self.url)


def skip_or_fail(error: NotInstalled) -> NoReturn:
    """Skip the test because a service is missing; in continuous integration, fail it."""
    if os.environ.get("CI"):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with the longest timeouts first: started last, they would run alone at the end."""
    timeouts: dict[Path, float] = {}
    for item in items:
        own = item.get_closest_marker("timeout")
        timeouts[item.path] = max(timeouts.get(item.path, 0.0), own.args[0] if own else 0.0)
    items.sort(key=lambda item: -timeouts[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record for fixtures whether their test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def session_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A private RabbitMQ node for all tests."""
    home = tmp_path_factory.mktemp("broker")
    try:
        node = prepare_rabbitmq(home / "rabbitmq")
    except NotInstalled as error:
        skip_or_fail(error)
    with Supervisor(node.stages, home / "log") as supervisor:
        yield Broker(node, supervisor)


@pytest.fixture
def broker(session_broker: Broker) -> Broker:
    """A running RabbitMQ that holds nothing of earlier tests."""
    session_broker.reset()
    return session_broker


@pytest.fixture(scope="session")
def session_mariadb() -> Iterator[MariaDb]:
    """One MariaDB server for all tests."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-mariadb-"))  # the user mysql cannot enter pytest's directories
    try:
        server = MariaDb(home)
        with server.running():
            yield server
    except NotInstalled as error:
        skip_or_fail(error)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def mariadb(session_mariadb: MariaDb) -> MariaDb:
    """A running MariaDB. `fresh_database()` creates an empty database, and `process` may be killed."""
    if session_mariadb.process.describe_exit():
        session_mariadb.process.start()
    session_mariadb.process.wait_ready()
    return session_mariadb


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One private Redis for all tests."""
    home = tmp_path_factory.mktemp("redis")
    try:
        server = prepare_redis(home / "redis")
    except NotInstalled as error:
        skip_or_fail(error)
    with Supervisor([[server.program]], home / "log"):
        yield server.url


@pytest.fixture
def platform(broker: Broker, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """Broker, SQLite ledger and local store; tests start web tier and workers as needed. Prints logs on failure."""
    platform = Platform(tmp_path / "platform", broker.url)
    yield platform
    platform.stop()
    if request.node.stash.get(FAILED, False):
        for name, text in platform.logs():
            print(f"--- {name} ---\n{text}")


@pytest.fixture(scope="session")
def session_fleet() -> Iterator[Fleet]:
    """Five edge nodes for all tests."""
    try:
        with running_fleet() as fleet:
            yield fleet
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture
def fleet(session_fleet: Fleet) -> Fleet:
    """Five nodes that serve and answer, each with a keyring of its own."""
    session_fleet.renew()
    return session_fleet
