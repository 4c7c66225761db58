"""A jump host: inventory, ledger and settings for a fleet, and runs over it in this process or as commands."""

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

ROTATE_ONCE = RotationRequest(None)


class JumpHost:
    """`settings` override BULKHEAD_TICKETS_*. With `ledger` false, the ledger's file is not a database."""

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
            (self.var / "ledger.db").write_text("not a database\n" * 100)
        self.addresses = {node.name: node.address for node in fleet.nodes}
        Inventory(nodes=self.addresses).save(self.var)
        shared = fleet.home / "ssh"  # opening a connection takes longer than the rest of a test
        shared.mkdir(mode=0o700, exist_ok=True)
        (self.var / SSH_SOCKETS).symlink_to(shared)

    def controller(self) -> FleetController:
        """A controller in this process."""
        return FleetController(self.settings, self.ledger.rotations)

    def run(self, request: RotationRequest = ROTATE_ONCE) -> RunReport:
        """One run in this process."""
        return asyncio.run(self.controller().run(request))

    def matrix(self) -> list[ResumptionCheck]:
        """The result of every handshake between the nodes in the inventory."""
        return check_resumption(Inventory.load(self.var).nodes)

    def resumed(self) -> str:
        """How many sessions were resumed: `50 of 50`."""
        checks = self.matrix()
        return f"{sum(check.resumed for check in checks)} of {len(checks)}"

    def start(self, command: Sequence[str], **extra: str) -> "subprocess.Popen[str]":
        """Start Python with these arguments in this host's environment."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.environment, **extra}
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
        """Run `bulkhead tickets …`. Returns exit code, output and errors."""
        process = self.start(["-m", "cli", "tickets", *arguments])
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def audit_log(self) -> str:
        """The content of the audit log."""
        return (self.var / FILE).read_text()
