"""Ports of the embedded platform. They are chosen once and stored in a file, so that URLs survive a restart."""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import ServiceUnavailable
from tasks.utils.files import write_atomically

LOOPBACK = "127.0.0.1"

# Below the ephemeral ports of Linux (net.ipv4.ip_local_port_range starts at 32768), so that no outgoing connection
# takes them while the platform is down.
PORT_RANGE = range(20_000, 32_768)

# Ports tried before giving up.
MAX_TRIES = 200


class PortsExhausted(ServiceUnavailable):
    """No free port was found on 127.0.0.1. Stop other servers and try again."""

    code = "no-free-port"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of `host` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server accepts connections on `port` of `host`."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def assign_ports(file: Path, names: Sequence[str]) -> dict[str, int]:
    """A free port for each name: the one stored in `file`, or a new one if that is in use by now."""
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    ports: dict[str, int] = {}
    for name in names:
        port = stored.get(name)
        ports[name] = port if port and is_free(port) else _find_free_port(excluded={*stored.values(), *ports.values()})
    if ports != stored:
        write_atomically(file, json.dumps(ports, indent=2))
    return ports


def _find_free_port(excluded: set[int]) -> int:
    for port in random.sample(PORT_RANGE, k=min(MAX_TRIES, len(PORT_RANGE))):
        if port not in excluded and is_free(port):
            return port
    raise PortsExhausted
