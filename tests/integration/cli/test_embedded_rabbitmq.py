"""The private RabbitMQ node: durable, only on loopback, without leaked secrets, and gone after it is stopped."""

import ipaddress
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kombu import Connection, Exchange, Producer, Queue

from cli.embedded.process import NotInstalled
from cli.embedded.rabbitmq import RabbitmqNode, prepare_rabbitmq
from cli.embedded.supervisor import Supervisor
from tests.conftest import skip_or_fail

pytestmark = pytest.mark.service

# Seconds until a declared queue survives a SIGKILL of the broker: RabbitMQ writes its directory of quorum queues every
# half second. A younger queue is still listed but does not respond until it is deleted.
SETTLING = 2.0

QUEUE = Queue(
    "held", Exchange("held", type="topic"), routing_key="held", queue_arguments={"x-queue-type": "quorum"}, durable=True
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def node(home: Path) -> RabbitmqNode:
    try:
        return prepare_rabbitmq(home / "rabbitmq")
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture(scope="module")
def supervisor(node: RabbitmqNode, home: Path) -> Iterator[Supervisor]:
    with Supervisor(node.stages, home / "log") as supervisor:
        yield supervisor


def family(supervisor: Supervisor) -> list[psutil.Process]:
    leaders = [psutil.Process(supervisor.process(name).pid) for name in ("epmd", "rabbitmq")]
    return [*leaders, *(child for leader in leaders for child in leader.children(recursive=True))]


def test_given_confirmed_messages_when_the_node_is_killed_and_restarted_then_none_is_lost(
    node: RabbitmqNode, supervisor: Supervisor
) -> None:
    with Connection(node.url, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        QUEUE(channel).declare()
        time.sleep(SETTLING)
        producer = Producer(channel, exchange=QUEUE.exchange, serializer="json")
        for number in range(100):
            producer.publish({"number": number}, routing_key="held", delivery_mode=2)
        broker = supervisor.process("rabbitmq")
        broker.kill()

    broker.start()
    broker.wait_ready()

    with Connection(node.url) as connection:
        queue = QUEUE(connection.channel())
        numbers = [message.payload["number"] for _ in range(100) if (message := queue.get(no_ack=True))]
    assert numbers == list(range(100))


def test_given_a_running_node_then_it_listens_on_loopback_only(supervisor: Supervisor) -> None:
    sockets = [socket for process in family(supervisor) for socket in process.net_connections(kind="inet")]
    addresses = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}

    assert len([socket for socket in sockets if socket.status == psutil.CONN_LISTEN]) >= 4
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses), addresses


def test_given_a_running_node_then_no_secret_is_in_an_argument_or_a_log(
    node: RabbitmqNode, supervisor: Supervisor, home: Path
) -> None:
    password = node.url.split(":")[2].split("@")[0]
    cookie = (home / "rabbitmq" / ".erlang.cookie").read_text()
    arguments = "\n".join(" ".join(process.cmdline()) for process in family(supervisor))
    logs = "\n".join(log.read_text(errors="replace") for log in (home / "log").iterdir())

    for secret in (password, cookie):
        assert secret not in arguments
        assert secret not in logs


def test_given_a_running_node_then_only_the_owner_can_read_its_secrets(supervisor: Supervisor, home: Path) -> None:
    assert supervisor.process("rabbitmq").describe_exit() is None
    assert stat.S_IMODE((home / "rabbitmq").stat().st_mode) == 0o700
    for name in ("rabbitmq.conf", "credentials", ".erlang.cookie"):
        assert stat.S_IMODE((home / "rabbitmq" / name).stat().st_mode) == 0o600, name


def test_given_a_running_node_then_its_memory_is_below_300_mib(supervisor: Supervisor) -> None:
    resident = sum(process.memory_info().rss for process in family(supervisor))

    assert resident < 300 * 1024 * 1024


def test_given_an_earlier_node_when_it_is_prepared_again_then_its_url_is_the_same(
    node: RabbitmqNode, supervisor: Supervisor, home: Path
) -> None:
    supervisor.stop()
    again = prepare_rabbitmq(home / "rabbitmq")
    supervisor.start()

    assert again.url == node.url


def test_given_a_running_node_when_it_is_stopped_then_neither_beam_nor_epmd_is_left(supervisor: Supervisor) -> None:
    processes = family(supervisor)
    assert {"beam.smp", "epmd"} <= {process.name() for process in processes}

    supervisor.stop()

    _, alive = psutil.wait_procs(processes, timeout=2)
    assert alive == []
