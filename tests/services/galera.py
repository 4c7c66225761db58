"""A Galera cluster of three real nodes on 127.0.0.1, run as the user `mysql` if the tests run as root."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import NotInstalled, Process, Program, find_program

USER = "bulkhead"
DATABASE = "plant"
INSTEAD = "leave the tests of Galera out"
PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
NODES = 3


class GaleraNode:
    """One node. `process` runs it and may be killed; `rejoin()` starts it again as part of the cluster."""

    def __init__(self, home: Path, number: int, ports: dict[str, int], password: str, user: list[str]) -> None:
        self._port = ports[f"sql{number}"]
        self._password = password
        self.url = f"mysql+pymysql://{USER}:{password}@{LOOPBACK}:{self._port}/{DATABASE}"
        server = find_program("/usr/sbin/mariadbd", "mariadb-server", INSTEAD)
        group, incoming, state = (ports[f"{kind}{number}"] for kind in ("group", "incoming", "state"))
        members = ",".join(f"{LOOPBACK}:{ports[f'group{each}']}" for each in range(NODES))
        provider_options = (
            f"gmcast.listen_addr=tcp://{LOOPBACK}:{group};ist.recv_addr={LOOPBACK}:{incoming};gcache.size=64M"
        )
        arguments = [f"--datadir={home}/data{number}", f"--socket={home}/socket{number}", f"--port={self._port}"]
        arguments += [f"--bind-address={LOOPBACK}", "--skip-name-resolve", "--innodb-buffer-pool-size=64M"]
        arguments += [
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--wsrep-on=ON",
            "--wsrep-sst-method=rsync",
        ]
        arguments += [f"--wsrep-provider={PROVIDER}", f"--wsrep-cluster-address=gcomm://{members}"]
        arguments += [f"--wsrep-node-address={LOOPBACK}:{group}", f"--wsrep-node-name=node{number}"]
        arguments += [f"--wsrep-sst-receive-address={LOOPBACK}:{state}", f"--wsrep-provider-options={provider_options}"]
        command = (server, "--no-defaults", *user, *arguments)
        self._logs = home / "log"
        self._founder = Program(f"node{number}", (*command, "--wsrep-new-cluster"), is_ready=self.is_synced)
        self._member = Program(f"node{number}", command, is_ready=self.is_synced)
        self.process = Process(self._founder if number == 0 else self._member, self._logs)

    def rejoin(self) -> None:
        """Start a node that has ended; the others synchronise it."""
        self.process = Process(self._member, self._logs)
        self.process.start()
        self.process.wait_ready()

    def is_synced(self) -> bool:
        """Whether it is synchronised and serves."""
        try:
            return self.status("wsrep_local_state_comment") == "Synced"
        except pymysql.Error:
            return False

    def status(self, name: str) -> str:
        """A variable of SHOW GLOBAL STATUS. Raises pymysql.Error."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE %s", (name,))
            row = cursor.fetchone()
        return str(row[1]) if row else ""

    def _connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(host=LOOPBACK, port=self._port, user=USER, password=self._password, connect_timeout=2)


class Galera:
    """A prepared cluster with an empty database."""

    def __init__(self, home: Path) -> None:
        """Write data directories below `home`, which `mysql` must be able to reach. Raises NotInstalled."""
        if not PROVIDER.exists():
            raise NotInstalled(PROVIDER.name, "galera-4", INSTEAD)
        find_program("rsync", "rsync", INSTEAD)
        names = [f"{kind}{number}" for kind in ("sql", "group", "incoming", "state") for number in range(NODES)]
        ports = assign_ports(home / "ports.json", names)
        password = secrets.token_hex(16)
        user = ["--user=mysql"] if os.geteuid() == 0 else []
        for number in range(NODES):
            (home / f"data{number}").mkdir()
        if user:
            for path in (home, *home.glob("data?")):
                shutil.chown(path, "mysql")
        _install(home / "data0", user, password)
        self.nodes = [GaleraNode(home, number, ports, password, user) for number in range(NODES)]
        self.urls = [node.url for node in self.nodes]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all nodes for the block. They join one after the other: a donor serves one joining node at a time."""
        started: list[GaleraNode] = []
        try:
            for node in self.nodes:
                node.process.start()
                started.append(node)
                node.process.wait_ready()
            yield
        finally:
            for node in reversed(started):
                node.process.kill()


def _install(data: Path, user: list[str], password: str) -> None:
    """A data directory with a user and a database; the other nodes receive it."""
    server = find_program("/usr/sbin/mariadbd", "mariadb-server", INSTEAD)
    install = find_program("mariadb-install-db", "mariadb-server", INSTEAD)
    options = ["--no-defaults", *user, f"--datadir={data}"]
    subprocess.run([install, *options, "--skip-test-db"], check=True, capture_output=True)
    statements = [
        "FLUSH PRIVILEGES;",
        f"CREATE USER {USER}@'{LOOPBACK}' IDENTIFIED BY '{password}';",
        f"GRANT ALL ON *.* TO {USER}@'{LOOPBACK}';",
        f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;\n",
    ]
    subprocess.run(
        [server, *options, "--bootstrap"], input="\n".join(statements).encode(), check=True, capture_output=True
    )
