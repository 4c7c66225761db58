"""A fleet of real nodes on 127.0.0.1: each an HAProxy with ticket keys, and an sshd that runs the node's program."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from cli.embedded.ports import LOOPBACK, assign_ports, is_listening
from cli.embedded.process import Process, Program, find_program
from workers.tickets.keyring import Key, Keyring
from workers.tickets.node.haproxy import HAProxy
from workers.tickets.node_archive import build_archive

INSTEAD = "leave the tests of ticket keys out"
MEMORY = Path("/dev/shm")  # a tmpfs, as required for keys

# Seconds.
RELOAD_TIMEOUT = 10.0

CONFIGURATION = """
global
    stats socket {socket} mode 600 level admin
    tune.ssl.cachesize 0    # resume by tickets only
    tune.ssl.lifetime 300
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend edge
    bind {host}:{port} ssl crt {certificate} tls-ticket-keys {keyring} ssl-min-ver TLSv1.2
    http-request return status 200 content-type text/plain string "{name}"
"""

SSHD = """
Port {port}
ListenAddress {host}
HostKey {home}/host_key
AuthorizedKeysFile {home}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel ERROR
# The login shell must not read the start-up files of the user who runs the tests.
SetEnv HOME={home}
"""


class FleetNode:
    """One node. `haproxy` and `sshd` are its processes; `home` is its disk, `memory` its tmpfs."""

    def __init__(self, name: str, home: Path, memory: Path, ports: dict[str, int], authorized: str) -> None:
        self.name, self.home, self.memory = name, home, memory
        self.port, self.ssh_port = ports[name], ports[f"{name}-ssh"]
        self.keyring_file = memory / "keyring"
        self.record = home / "record.json"
        self.socket = memory / "haproxy.sock"
        home.mkdir()
        memory.mkdir(mode=0o700)
        keygen(home / "host_key")
        self.authorize(authorized)
        configuration = home / "haproxy.cfg"
        certificate = home.parent / "edge.pem"
        values = {"socket": self.socket, "host": LOOPBACK, "port": self.port, "certificate": certificate}
        configuration.write_text(CONFIGURATION.format(**values, keyring=self.keyring_file, name=name))
        (home / "sshd_config").write_text(SSHD.format(port=self.ssh_port, host=LOOPBACK, home=home))
        haproxy = find_program("/usr/sbin/haproxy", "haproxy", INSTEAD)
        sshd = find_program("/usr/sbin/sshd", "openssh-server", INSTEAD)
        logs = home / "log"
        serve = (
            "prlimit",
            "--core=0",
            "--",
            haproxy,
            "-W",
            "-db",
            "-q",
            "-f",
            str(configuration),
        )  # the limit of its unit
        self.haproxy = Process(
            Program(f"{name}-haproxy", serve, is_ready=lambda: is_listening(self.port), directory=home), logs
        )
        listen = (sshd, "-D", "-e", "-f", str(home / "sshd_config"))
        self.sshd = Process(Program(f"{name}-sshd", listen, is_ready=lambda: is_listening(self.ssh_port)), logs)

    def authorize(self, authorized: str, *, wrapper: str = "", socket_of: Path | None = None) -> None:
        """Give the rotator access to the node's program only, or to a `wrapper` of it."""
        program = wrapper or f"/usr/bin/python3 -IS {self.home.parent}/bulkhead-tickets-node"
        command = f"{program} serve {self.options}"
        if socket_of:
            command += f" --haproxy {socket_of}"
        line = f'restrict,command="{command}" {authorized}\n'
        file = self.home / "authorized_keys"
        if not file.exists():
            file.write_text(line)
        elif file.read_text() != line:
            file.write_text(line)
            self.unreachable()  # an open connection keeps its command
            self.reachable()

    @property
    def options(self) -> str:
        """The paths for the node's program, as options."""
        return f"--keyring {self.keyring_file} --record {self.record} --haproxy {self.socket}"

    @property
    def address(self) -> str:
        """The address for clients."""
        return f"{LOOPBACK}:{self.port}"

    def run(self, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Run the node's program as the node's units do."""
        program = [f"{self.home.parent}/bulkhead-tickets-node", command, *self.options.split(), *options]
        return subprocess.run(["/usr/bin/python3", "-IS", *program], capture_output=True, text=True, timeout=30)

    def boot(self) -> None:
        """Boot: the units of a node start with an empty tmpfs."""
        done = self.run("bootstrap")
        assert done.returncode == 0, done.stderr
        for process in (self.haproxy, self.sshd):
            process.start()
        for process in (self.haproxy, self.sshd):
            process.wait_ready()

    def forget(self) -> None:
        """Generate a new keyring."""
        keyring = Keyring.generate(80, os.urandom)
        self.keyring_file.write_text("".join(f"{line}\n" for line in keyring.encode()))
        HAProxy(self.socket, self.keyring_file).sync(keyring)

    def die(self) -> None:
        """Lose power: processes and the tmpfs are lost, the disk is kept."""
        self.unreachable()
        self.haproxy.kill()
        for path in self.memory.iterdir():
            path.unlink()

    def is_dead(self) -> bool:
        """Whether one of its processes has ended."""
        return any(process.describe_exit() is not None for process in (self.haproxy, self.sshd))

    def reload(self) -> None:
        """Reload HAProxy, as `systemctl reload haproxy` does, and wait until the new process answers on the socket."""
        before = self._serving_pid()
        os.kill(self.haproxy.pid, signal.SIGUSR2)
        deadline = time.monotonic() + RELOAD_TIMEOUT
        while self._serving_pid() == before:
            assert time.monotonic() < deadline, "HAProxy was not reloaded"
            time.sleep(0.02)

    def _serving_pid(self) -> str | None:
        """The process id in HAProxy's answer on its socket; None while nothing answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(RELOAD_TIMEOUT)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"show info\n")
                answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
            except OSError:
                return None
        return next((line for line in answer.splitlines() if line.startswith("Pid:")), None)

    def unreachable(self) -> None:
        """Stop sshd and its open connections; HAProxy keeps serving."""
        sessions: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):  # it is dead already
            sessions = psutil.Process(self.sshd.pid).children(recursive=True)
        self.sshd.kill()
        for process in sessions:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def reachable(self) -> None:
        """Start sshd again."""
        self.sshd.start()
        self.sshd.wait_ready()

    def haproxy_keys(self) -> tuple[Key, ...]:
        """The keys that HAProxy uses, read from its socket directly."""
        keys = HAProxy(self.socket, self.keyring_file).keys()
        assert keys is not None
        return keys

    def names(self) -> tuple[str, ...]:
        """Names of the keys in use."""
        return tuple(key.name for key in self.haproxy_keys())

    def token(self) -> int:
        """The fencing token in the node's record."""
        return int(json.loads(self.record.read_text())["token"])

    def in_file(self) -> Keyring:
        """The keyring in the file."""
        return Keyring.decode(self.keyring_file.read_text().split())


class Fleet:
    """The nodes, and the `ssh_config` with which a jump host reaches them."""

    def __init__(self, home: Path, memory: Path, count: int) -> None:
        """Create files below `home`, and below `memory` on a tmpfs. Raises NotInstalled."""
        self.home = home
        for name, package in (("ssh-keygen", "openssh-client"), ("openssl", "openssl"), ("ssh", "openssh-client")):
            find_program(name, package, INSTEAD)
        names = [f"edge{number}" for number in range(1, count + 1)]
        ports = assign_ports(home / "ports.json", [*names, *(f"{name}-ssh" for name in names)])
        (home / "bulkhead-tickets-node").write_bytes(build_archive())
        certificate(home / "edge.pem")
        keygen(home / "id")
        self.public_key = (home / "id.pub").read_text().strip()
        self.nodes = [FleetNode(name, home / name, memory / name, ports, self.public_key) for name in names]
        self.ssh_config = home / "ssh_config"
        self.known_hosts = home / "known_hosts"
        hosts = [f"[{LOOPBACK}]:{node.ssh_port} {(node.home / 'host_key.pub').read_text()}" for node in self.nodes]
        self.known_hosts.write_text("".join(hosts))
        self.ssh_config.write_text("".join(map(self._host, self.nodes)))

    def _host(self, node: FleetNode) -> str:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return (
            f"Host {node.name}\n HostName {LOOPBACK}\n Port {node.ssh_port}\n User {user}\n"
            f" IdentityFile {self.home}/id\n IdentitiesOnly yes\n UserKnownHostsFile {self.known_hosts}\n"
        )

    def __getitem__(self, number: int) -> FleetNode:
        return self.nodes[number]

    def renew(self) -> None:
        """Make every node serve and answer again, without a record and with a new keyring."""
        for node in self.nodes:
            node.record.unlink(missing_ok=True)
            if node.is_dead():
                node.die()
                node.boot()
            node.authorize(self.public_key)
            node.forget()

    @property
    def names(self) -> list[str]:
        """The names of the nodes."""
        return [node.name for node in self.nodes]

    def keyrings(self) -> set[tuple[str, ...]]:
        """All keyrings in use, by key names. One, if the fleet is in sync."""
        return {node.names() for node in self.nodes}


@contextmanager
def running_fleet(count: int = 5) -> Iterator[Fleet]:
    """A fleet whose nodes have just booted, each with its own keyring. Raises NotInstalled."""
    home = Path(tempfile.mkdtemp(prefix="fleet-", dir="/tmp"))
    memory = Path(tempfile.mkdtemp(prefix="fleet-", dir=MEMORY))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd(8): its unprivileged processes use it as their root
    fleet = None
    try:
        fleet = Fleet(home, memory, count)
        for node in fleet.nodes:
            node.boot()
        yield fleet
    finally:
        for node in fleet.nodes if fleet else ():
            with suppress(RuntimeError, psutil.NoSuchProcess):  # never started, or stopped by the test
                node.unreachable()
            with suppress(RuntimeError):
                node.haproxy.kill()
        shutil.rmtree(home)
        shutil.rmtree(memory)


def keygen(path: Path) -> None:
    """An SSH key without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def certificate(path: Path) -> None:
    """A self-signed certificate and its key in one file, as HAProxy requires."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=edge.example", "-keyout", f"{path}.key", "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(Path(f"{path}.key").read_text() + Path(f"{path}.crt").read_text())
