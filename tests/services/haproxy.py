"""HAProxy over edge/haproxy.d, on ports of its own: one node, or a fleet whose nodes are peers."""

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

CONFIGURATION = Path(__file__).resolve().parents[2] / "edge" / "haproxy.d"
INSTEAD = "leave the tests of the edge out"
RELOAD_TIMEOUT = 10.0  # seconds


def find_haproxy() -> str:
    """Where HAProxy is. Raises NotInstalled."""
    return find_program("/usr/sbin/haproxy", "haproxy", INSTEAD)


def check(parameters: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`haproxy -c` of the configuration with these parameters alone. Raises NotInstalled."""
    return subprocess.run(
        [find_haproxy(), "-c", "-f", str(CONFIGURATION)],
        env={f"BULKHEAD_EDGE_{name}": value for name, value in parameters.items()},
        capture_output=True,
        text=True,
        timeout=30,
    )


class Node:
    """One HAProxy. Its clients come by the PROXY protocol to `port`, so that a test says who they are."""

    def __init__(self, home: Path, number: int, peers: Mapping[int, int], parameters: Mapping[str, str]) -> None:
        """`peers` are the ports of all nodes by number, `parameters` those of BULKHEAD_EDGE_. Raises NotInstalled."""
        self.number = number
        ports = assign_ports(home / f"node{number}.json", ["http", "https", "balancer", "metrics"])
        self.http_port, self.https_port, self.port = ports["http"], ports["https"], ports["balancer"]
        self.metrics_port = ports["metrics"]
        self._socket = home / f"node{number}.sock"
        own = {
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
        self.environment = {f"BULKHEAD_EDGE_{name}": value for name, value in own.items()}
        command = (find_haproxy(), "-W", "-f", str(CONFIGURATION))
        self.process = Process(
            Program(f"haproxy{number}", command, is_ready=self.answers, environment=self.environment), home / "log"
        )

    def ask(self, command: str) -> str:
        """What the runtime socket answers. Raises OSError."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(self._socket))
            line.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: line.recv(65536), b"")).decode()

    def info(self) -> dict[str, str]:
        """`show info`, by name."""
        return dict(line.split(": ", 1) for line in self.ask("show info").splitlines() if ": " in line)

    def servers(self) -> dict[tuple[str, str], str]:
        """State of every server, by backend and name."""
        rows = [line.split(",") for line in self.ask("show stat").splitlines() if line and line[0] != "#"]
        return {(row[0], row[1]): row[17] for row in rows}

    def has_learnt(self) -> bool:
        """Whether it is done with learning what its peers, or its former self, know (PEERS_F_RESYNC_FINISHED)."""
        flags = re.search(r"id=fleet .*flags=0x([0-9a-f]+)", self.ask("show peers"))
        return flags is not None and int(flags[1], 16) & 3 == 3

    def links(self) -> dict[int, str]:
        """Its working connections with its peers: what tells one from the next, by the peer's number."""
        links = re.findall(r"id=node(\d+)\(remote,active\).*?appctx:(\w+)", self.ask("show peers"), re.DOTALL)
        return {int(number): link for number, link in links}

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return bool(self.info())
        except OSError:
            return False

    def reload(self) -> None:
        """Replace the worker process, as `systemctl reload` does, and wait until the new one answers."""
        before = self.info()["Pid"]
        os.kill(self.process.pid, signal.SIGUSR2)
        deadline = time.monotonic() + RELOAD_TIMEOUT
        while time.monotonic() < deadline:
            with suppress(OSError, KeyError):  # between the two processes
                if self.info()["Pid"] != before:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"HAProxy was not reloaded within {RELOAD_TIMEOUT:g} s; see {self.process.log}")


def fleet(home: Path, parameters: Mapping[str, str], numbers: Sequence[int] = (1, 2, 3, 4, 5)) -> list[Node]:
    """Nodes that are each other's peers, not yet started."""
    ports = assign_ports(home / "peers.json", [str(number) for number in numbers])
    peers = {number: ports[str(number)] for number in numbers}
    return [Node(home, number, peers, parameters) for number in numbers]
