"""A private MariaDB server, run as the user `mysql` if the tests run as root."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import Process, Program, find_program

USER = "bulkhead"
INSTEAD = "leave the tests of MariaDB out"


class MariaDb:
    """A prepared server. `process` may be killed and restarted."""

    def __init__(self, home: Path) -> None:
        """Create the data directory below `home`, which `mysql` must be able to access. Raises NotInstalled."""
        server = find_program("/usr/sbin/mariadbd", "mariadb-server", INSTEAD)
        install = find_program("mariadb-install-db", "mariadb-server", INSTEAD)
        self._port = assign_ports(home / "ports.json", ["mariadb"])["mariadb"]
        self._password = secrets.token_hex(16)
        data = home / "data"
        data.mkdir()
        user = []
        if os.geteuid() == 0:
            shutil.chown(home, "mysql")
            shutil.chown(data, "mysql")
            user = ["--user=mysql"]
        subprocess.run(
            [install, "--no-defaults", *user, f"--datadir={data}", "--skip-test-db"], check=True, capture_output=True
        )
        statements = [
            f"CREATE USER {USER}@'{LOOPBACK}' IDENTIFIED BY '{self._password}';",
            f"GRANT ALL ON *.* TO {USER}@'{LOOPBACK}';",
        ]
        first_statements = home / "first.sql"
        first_statements.write_text("\n".join(statements))
        arguments = [f"--datadir={data}", f"--socket={home}/socket", f"--port={self._port}", *user]
        arguments += [f"--bind-address={LOOPBACK}", "--skip-name-resolve", f"--init-file={first_statements}"]
        arguments += ["--innodb-buffer-pool-size=64M", "--skip-log-bin"]
        self.program = Program("mariadb", (server, "--no-defaults", *arguments), is_ready=self._answers)
        self.process = Process(self.program, home / "log")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the server during the block."""
        self.process.start()
        try:
            self.process.wait_ready()
            yield
        finally:
            self.process.stop()

    def fresh_database(self) -> str:
        """Create an empty database. Returns its URL for BULKHEAD_LEDGER_URL."""
        name = f"test_{secrets.token_hex(4)}"
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"mysql+pymysql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{name}?charset=utf8mb4"

    def _connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(host=LOOPBACK, port=self._port, user=USER, password=self._password, connect_timeout=2)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.Error:
            return False
        return True
