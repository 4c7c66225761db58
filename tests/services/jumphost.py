"""A jump host: roster, ledger and settings for a fleet, and runs over it, in this process or as commands."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tasks.database.migrate import migrate
from tasks.jobs import open_ledger
from tasks.settings import Settings
from tests.services.fleet import Fleet
from tests.services.platform import ROOT
from workers.tickets.audit_log import FILE
from workers.tickets.controller import SSH_SOCKETS, FleetController
from workers.tickets.inventory import Inventory
from workers.tickets.rotation import RotationRequest
from workers.tickets.rotator import RunReport
from workers.tickets.verify import ResumptionCheck, check_resumption

ONCE_MORE = RotationRequest(None)


class JumpHost:
    """`settings` override BULKHEAD_TICKETS_*. Without a `ledger` its file is no database."""

    def __init__(self, fleet: Fleet, *, ledger: bool = True, **settings: object) -> None:
        self.fleet = fleet
        self.var = Path(tempfile.mkdtemp(prefix="jump-", dir=fleet.home))
        url = f"sqlite:///{self.var}/ledger.db"
        values = {"var": self.var, "ledger_url": url, "tickets_ssh_config": fleet.ssh_config, "tickets_ssh_persist": 60}
        values |= {f"tickets_{name}": value for name, value in {"lifetime": 0, **settings}.items()}
        self.settings = Settings.model_validate(values)
        self.environment = {f"BULKHEAD_{name.upper()}": str(value) for name, value in values.items()}
        self.ledger = open_ledger(self.settings)
        if ledger:
            migrate(self.ledger.database)
        else:
            (self.var / "ledger.db").write_text("no database at all\n" * 100)
        self.addresses = {node.name: node.address for node in fleet.nodes}
        Inventory(nodes=self.addresses).save(self.var)
        shared = fleet.home / "ssh"  # a connection takes longer to make than all else in a test
        shared.mkdir(mode=0o700, exist_ok=True)
        (self.var / SSH_SOCKETS).symlink_to(shared)

    def office(self) -> FleetController:
        """The rotator's office, in this process."""
        return FleetController(self.settings, self.ledger.rotations)

    def run(self, wish: RotationRequest = ONCE_MORE) -> RunReport:
        """One run in this process."""
        return asyncio.run(self.office().run(wish))

    def matrix(self) -> list[ResumptionCheck]:
        """Every handshake between all nodes that are in the roster."""
        return check_resumption(Inventory.load(self.var).nodes)

    def resumed(self) -> str:
        """How many sessions went on: `50 of 50`."""
        checks = self.matrix()
        return f"{sum(check.resumed for check in checks)} of {len(checks)}"

    def start(self, command: Sequence[str], **more: str) -> "subprocess.Popen[str]":
        """Start Python with a command line in this host's environment."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.environment, **more}
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.var,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """`bulkhead tickets …`: exit code, output, errors."""
        process = self.start(["-m", "cli", "tickets", *arguments])
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def audit(self) -> str:
        """The audit log."""
        return (self.var / FILE).read_text()
