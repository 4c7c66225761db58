"""A private RabbitMQ node: Debian's package, run by an ordinary user, bound to 127.0.0.1, its data in a directory.

Two processes: epmd, Erlang's port mapper, with a port of its own (RabbitMQ would start one that outlives it), and the
node. Credentials lie in files of mode 0600, never in an argument that `ps` could show.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from amqp import AMQPError, Connection

from cli.embedded.environment import read_environment_file
from cli.embedded.files import make_private_directory, write_private
from cli.embedded.ports import LOOPBACK, assign_ports, is_listening
from cli.embedded.process import Program, find_program

# The wrapper in /usr/sbin refuses everyone but root and rabbitmq; the script it wraps does not.
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PACKAGE = "rabbitmq-server"
ALTERNATIVE = "set BULKHEAD_BROKER_URL to a RabbitMQ of yours"

USER = "bulkhead"

# At `localhost` because the database belongs to the node's name: another host name would orphan it.
NODE_NAME = "bulkhead@localhost"

DATA_DIRECTORY = "data"

PORTS = ("amqp", "stream", "distribution", "epmd")

CONFIGURATION = """\
listeners.tcp.default = {loopback}:{amqp}
stream.listeners.tcp.default = {loopback}:{stream}
stream.advertised_host = {loopback}
stream.advertised_port = {stream}
default_user = {user}
default_pass = {password}
# A laptop's share: above it publishers are held back. Messages are small, drawings lie in the store.
vm_memory_high_watermark.absolute = 512MiB
# Room to write the logs of queues out before the disk is full.
disk_free_limit.absolute = 256MB
# Quorum queues' write-ahead log is kept in memory, too: 64 MiB in place of 512.
raft.wal_max_size_bytes = 67108864
log.file = false
log.console = true
log.console.use_colors = off
log.console.level = notice
"""


@dataclass(frozen=True)
class RabbitmqNode:
    """A prepared node: where it listens and what runs it, epmd first."""

    url: str
    stream_url: str  # of the stream protocol
    stages: tuple[tuple[Program, ...], ...]
    data_directory: Path  # what it remembers; without it, it starts anew


def prepare_rabbitmq(home: Path) -> RabbitmqNode:
    """Write the node's configuration below `home` (made if missing) and describe its processes.

    Ports, password and messages are those of the last time where there was one. Raises NotInstalled, PortsExhausted.
    """
    server = find_program(SERVER, PACKAGE, ALTERNATIVE)
    mapper = find_program("epmd", "erlang-base", ALTERNATIVE)
    home = make_private_directory(home)
    ports = assign_ports(home / "ports.json", PORTS)
    password = _load_or_create_password(home)
    write_private(
        home / "rabbitmq.conf", CONFIGURATION.format(user=USER, password=password, loopback=LOOPBACK, **ports)
    )
    write_private(home / "enabled_plugins", "[rabbitmq_stream].\n")
    epmd = Program(
        name="epmd",
        command=(mapper, "-address", LOOPBACK, "-port", str(ports["epmd"])),
        is_ready=lambda: is_listening(ports["epmd"]),
    )
    rabbitmq = Program(
        name="rabbitmq",
        command=(server,),
        is_ready=lambda: _accepts_login(ports["amqp"], password),
        environment=_environment(home, ports),
        directory=home,
    )
    return RabbitmqNode(
        url=f"amqp://{USER}:{password}@{LOOPBACK}:{ports['amqp']}//",
        stream_url=f"rabbitmq-stream://{USER}:{password}@{LOOPBACK}:{ports['stream']}/",
        stages=((epmd,), (rabbitmq,)),
        data_directory=home / DATA_DIRECTORY,
    )


def _load_or_create_password(home: Path) -> str:
    """The node's password, made on first use; likewise the cookie that other Erlang nodes would need."""
    cookie = home / ".erlang.cookie"
    if not cookie.exists():
        write_private(cookie, secrets.token_hex(20))
    file = home / "credentials"
    if not file.exists():
        write_private(file, f"password={secrets.token_hex(20)}\n")
    return read_environment_file(file)["password"]


def _environment(home: Path, ports: dict[str, int]) -> dict[str, str]:
    """RabbitMQ's variables: every file below `home`, every socket on 127.0.0.1."""
    return {
        "HOME": str(home),
        "RABBITMQ_NODENAME": NODE_NAME,
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_MNESIA_BASE": str(home / DATA_DIRECTORY),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "node.pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_PLUGINS_EXPAND_DIR": str(home / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        # The system's own node has these; they must not leak into ours.
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        # Let the start script become the server, so that signals reach it and no shell stays behind.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _accepts_login(port: int, password: str) -> bool:
    try:
        with Connection(f"{LOOPBACK}:{port}", userid=USER, password=password, connect_timeout=2, read_timeout=2):
            return True
    except (OSError, AMQPError):
        return False
