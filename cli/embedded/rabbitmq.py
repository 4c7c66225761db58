"""A private RabbitMQ node: Debian's package, run by an ordinary user, bound to 127.0.0.1.

It consists of two processes: the node, and its own epmd, Erlang's port mapper (RabbitMQ would start one that outlives
the node). Credentials are stored in files of mode 0600 and never passed as arguments, which `ps` shows.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from amqp import AMQPError, Connection

from cli.embedded.environment import read_environment_file
from cli.embedded.ports import LOOPBACK, assign_ports, is_listening
from cli.embedded.process import Program, find_program
from tasks.utils.files import make_private_directory, write_atomically

# The wrapper in /usr/sbin accepts only root and rabbitmq; the script that it wraps accepts every user.
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PACKAGE = "rabbitmq-server"
ALTERNATIVE = "set BULKHEAD_BROKER_URL to an existing RabbitMQ"

USER = "bulkhead"

# At `localhost` because RabbitMQ's database belongs to the name of the node: a changed host name would lose it.
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
# For a laptop. Publishers are blocked above it; messages are small, and drawings are in the store.
vm_memory_high_watermark.absolute = 512MiB
# Enough to write the queues' logs before the disk is full.
disk_free_limit.absolute = 256MB
# The write-ahead log of quorum queues is also in memory: 64 MiB instead of 512 MiB.
raft.wal_max_size_bytes = 67108864
log.file = false
log.console = true
log.console.use_colors = off
log.console.level = notice
"""


@dataclass(frozen=True)
class RabbitmqNode:
    """A prepared node: its URLs, and the programs to start, epmd first."""

    url: str
    stream_url: str  # of the stream protocol
    stages: tuple[tuple[Program, ...], ...]
    data_directory: Path  # queues and messages; without it the node starts empty


def prepare_rabbitmq(home: Path) -> RabbitmqNode:
    """Write the node's configuration below `home` (created if missing) and return its programs.

    Ports, password and messages of an earlier run are reused. Raises NotInstalled, PortsExhausted.
    """
    server = find_program(SERVER, PACKAGE, ALTERNATIVE)
    mapper = find_program("epmd", "erlang-base", ALTERNATIVE)
    home = make_private_directory(home)
    ports = assign_ports(home / "ports.json", PORTS)
    password = _load_or_create_password(home)
    write_atomically(
        home / "rabbitmq.conf", CONFIGURATION.format(user=USER, password=password, loopback=LOOPBACK, **ports)
    )
    write_atomically(home / "enabled_plugins", "[rabbitmq_stream].\n")
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
    """The node's password, created on first use together with the cookie that authenticates Erlang nodes."""
    cookie = home / ".erlang.cookie"
    if not cookie.exists():
        write_atomically(cookie, secrets.token_hex(20))
    file = home / "credentials"
    if not file.exists():
        write_atomically(file, f"password={secrets.token_hex(20)}\n")
    return read_environment_file(file)["password"]


def _environment(home: Path, ports: dict[str, int]) -> dict[str, str]:
    """Variables that put every file of RabbitMQ below `home` and every socket on 127.0.0.1."""
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
        # The system's own node has these files; ours must not read them.
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        # Makes the start script exec the server, so that signals reach it and no shell remains.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _accepts_login(port: int, password: str) -> bool:
    try:
        with Connection(f"{LOOPBACK}:{port}", userid=USER, password=password, connect_timeout=2, read_timeout=2):
            return True
    except (OSError, AMQPError):
        return False
