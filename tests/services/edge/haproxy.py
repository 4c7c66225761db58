"""HAProxy with the configuration of edge/haproxy.d on private ports: a single node or a fleet of peers."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import Process, Program, find_program

CONFIGURATION = Path(__file__).resolve().parents[3] / "edge" / "haproxy.d"
INSTEAD = "skip the tests of the edge"
RELOAD_TIMEOUT = 10.0  # seconds


def find_haproxy() -> str:
    """Path of HAProxy. Raises NotInstalled."""
    return find_program("/usr/sbin/haproxy", "haproxy", INSTEAD)


def check_configuration(parameters: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `haproxy -c` on the configuration with these parameters only. Raises NotInstalled."""
    return subprocess.run(
        [find_haproxy(), "-c", "-f", str(CONFIGURATION)],
        env={f"BULKHEAD_EDGE_{name}": value for name, value in parameters.items()},
        capture_output=True,
        text=True,
        timeout=30,
    )


def warnings_of(result: subprocess.CompletedProcess[str]) -> str:
    """The output of a check without notices."""
    return "\n".join(line for line in result.stderr.splitlines() if "[NOTICE]" not in line)


class Node:
    """An HAProxy. Clients connect to `port` with the PROXY protocol, so that a test can set their addresses."""

    def __init__(self, home: Path, number: int, peers: Mapping[int, int], parameters: Mapping[str, str]) -> None:
        """`peers` maps node numbers to ports; `parameters` lack the prefix BULKHEAD_EDGE_. Raises NotInstalled."""
        self.number = number
        ports = assign_ports(home / f"node{number}.json", ["http", "https", "balancer", "metrics"])
        self.http_port, self.https_port, self.port = ports["http"], ports["https"], ports["balancer"]
        self.metrics_port = ports["metrics"]
        self._socket = home / f"node{number}.sock"
        environment = {
            "HTTP": f"{LOOPBACK}:{self.http_port}",
            "HTTPS": f"{LOOPBACK}:{self.https_port}",
            "BALANCER": f"{LOOPBACK}:{self.port}",
            "METRICS": f"{LOOPBACK}:{self.metrics_port}",
            "SOCKET": str(self._socket),
            "LOG": "stdout",
            "LOG_FORMAT": "raw",
            "NODE": str(number),
            "USER": "",
            "MAXCONN": "9000",
            **{f"PEER_{peer}": f"{LOOPBACK}:{port}" for peer, port in peers.items()},
            **parameters,
        }
        self.environment = {f"BULKHEAD_EDGE_{name}": value for name, value in environment.items()}
        command = (find_haproxy(), "-W", "-f", str(CONFIGURATION))
        self.process = Process(
            Program(f"haproxy{number}", command, is_ready=self.is_serving, environment=self.environment), home / "log"
        )

    def run_command(self, command: str) -> str:
        """Send a command to the runtime socket and return the response. Raises OSError."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self._socket))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def info(self) -> dict[str, str]:
        """The output of `show info` by name."""
        return dict(line.split(": ", 1) for line in self.run_command("show info").splitlines() if ": " in line)

    def servers(self) -> dict[tuple[str, str], str]:
        """State of every server by backend and name."""
        rows = [line.split(",") for line in self.run_command("show stat").splitlines() if line and line[0] != "#"]
        return {(row[0], row[1]): row[17] for row in rows}

    def has_synchronized(self) -> bool:
        """Whether it has received the tables of a peer or of its previous process (PEERS_F_RESYNC_FINISHED)."""
        flags = re.search(r"id=fleet .*flags=0x([0-9a-f]+)", self.run_command("show peers"))
        return flags is not None and int(flags[1], 16) & 3 == 3

    def peer_connections(self) -> dict[int, str]:
        """An identifier of each active connection to a peer, by the number of the peer."""
        connections = re.findall(
            r"id=node(\d+)\(remote,active\).*?appctx:(\w+)", self.run_command("show peers"), re.DOTALL
        )
        return {int(number): identifier for number, identifier in connections}

    def is_serving(self) -> bool:
        """Whether the runtime socket responds."""
        try:
            return bool(self.info())
        except OSError:
            return False

    def reload(self) -> None:
        """Replace the worker process as `systemctl reload` does, and wait until the new one responds."""
        before = self.info()["Pid"]
        os.kill(self.process.pid, signal.SIGUSR2)
        deadline = time.monotonic() + RELOAD_TIMEOUT
        while time.monotonic() < deadline:
            with suppress(OSError, KeyError):  # neither process responds for a moment
                if self.info()["Pid"] != before:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"HAProxy was not reloaded within {RELOAD_TIMEOUT:g} s; see {self.process.log}")


def create_nodes(home: Path, parameters: Mapping[str, str], numbers: Sequence[int] = (1, 2, 3, 4, 5)) -> list[Node]:
    """Create nodes that are peers of each other, without starting them."""
    ports = assign_ports(home / "peers.json", [str(number) for number in numbers])
    peers = {number: ports[str(number)] for number in numbers}
    return [Node(home, number, peers, parameters) for number in numbers]
