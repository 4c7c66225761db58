"""Ports of the private platform: chosen once, kept in a file, so that URLs survive a restart."""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from cli.embedded.files import write_private

LOOPBACK = "127.0.0.1"

# Below Linux' ephemeral ports (net.ipv4.ip_local_port_range starts at 32768): no outgoing connection can take them
# while the platform is down.
PORT_RANGE = range(20_000, 32_768)

# Ports looked at before giving up.
TRIES = 200


class PortsExhausted(RuntimeError):
    """No free port was found on 127.0.0.1; stop other servers and try again."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


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
    """A free port for each name: the one that `file` remembers, or another one where that is taken by now."""
    remembered = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    ports: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        ports[name] = port if port and is_free(port) else _find_free_port(taken={*remembered.values(), *ports.values()})
    if ports != remembered:
        write_private(file, json.dumps(ports, indent=2))
    return ports


def _find_free_port(taken: set[int]) -> int:
    for port in random.sample(PORT_RANGE, k=min(TRIES, len(PORT_RANGE))):
        if port not in taken and is_free(port):
            return port
    raise PortsExhausted
