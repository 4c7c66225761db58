"""A site behind the edge: PHP, files, the intake, and as many HAProxies in front as a test wants."""

import http.client
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from cli.embedded.ports import LOOPBACK, assign_ports, is_listening
from cli.embedded.process import Process, Program
from tasks.database.migrate import migrate
from tasks.jobs import Claimed, Job, State, open_ledger
from tasks.renders import artifact_prefix
from tasks.settings import Settings
from tasks.storage import open_store
from tests.services.edge.phpfpm import fpm_program, static_program
from tests.services.haproxy import Node, fleet
from tests.services.platform import ROOT

TOKEN = "token-of-acme-0001"
STATIC_KBYTES = 8192
FLEET_TIMEOUT = 40.0  # seconds
STRANGER = "203.0.113.250"  # who asks before the tests do

SCRIPTS = {
    "index.php": '<?php header("Content-Type: application/json"); echo json_encode($_SERVER);',
    "wp-admin/index.php": "<?php echo 'administration';",
    "wp-login.php": '<?php setcookie("wordpress_logged_in", $_GET["session"], 0, "/"); echo "welcome";',
    "work.php": '<?php usleep(1000 * (int) $_GET["ms"]); echo gethostname();',
    "made.php": '<?php header("Location: /it"); http_response_code((int) $_GET["status"]);',
    "upload.php": "<?php echo strlen(file_get_contents('php://input'));",
    "wp-content/uploads/evil.php": "<?php echo 'run';",
    "wp-content/style.css": "body { color: navy }",
    "wp-content/hidden/.secret.css": "no",
    ".well-known/acme-challenge/token": "thumbprint",
    "big.zip": "0" * (24 << 20),
}


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float


class Client(http.client.HTTPConnection):
    """A client at `address`, as the PROXY protocol tells `node`."""

    def __init__(self, node: Node, address: str = "203.0.113.1", *, timeout: float = 30) -> None:
        super().__init__(LOOPBACK, node.port, timeout=timeout)
        self._address = address

    def connect(self) -> None:
        super().connect()
        family, own = ("TCP6", "2001:db8:ffff::1") if ":" in self._address else ("TCP4", "192.0.2.1")
        self.sock.sendall(f"PROXY {family} {self._address} {own} 40000 443\r\n".encode())


def get(
    node: Node,
    path: str,
    address: str = "203.0.113.1",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    body: bytes | None = None,
) -> Answer:
    """One request on a connection of its own. Raises OSError or http.client.HTTPException."""
    begun = time.monotonic()
    client = Client(node, address)
    try:
        client.request(method, path, body, dict(headers or {}))
        answer = client.getresponse()
        content = answer.read()
        return Answer(answer.status, content, dict(answer.getheaders()), time.monotonic() - begun)
    finally:
        client.close()


@dataclass
class Site:
    """What the edges speak to. `nodes` is the fleet of five, with the parameters that come with the edge."""

    home: Path
    settings: Settings
    parameters: dict[str, str]
    second_php: str
    nodes: list[Node] = field(default_factory=list)
    _processes: list[Process] = field(default_factory=list)

    def start(self, program: Program) -> Process:
        """Start a program and wait until it is ready; it ends with the site."""
        process = Process(program, self.home / "log")
        process.start()
        self._processes.append(process)
        process.wait_ready()
        return process

    def node(self, name: str, **parameters: str) -> Node:
        """Start one more edge, alone, with parameters of its own."""
        home = self.home / name
        home.mkdir()
        (node,) = fleet(home, {**self.parameters, **parameters}, numbers=[1])
        return self._serve([node])[0]

    def start_fleet(self, **parameters: str) -> None:
        """Start five nodes and wait until each has learnt from another one and hears of every other's clients.

        Who call each other at once hang up and try again; and who still learns may be taught its own counters of a
        moment ago.
        """
        self.nodes = self._serve(fleet(self.home, {**self.parameters, **parameters}))
        deadline = time.monotonic() + FLEET_TIMEOUT
        while not all(node.has_learnt() and self._is_heard(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the nodes did not meet"
            time.sleep(0.3)

    def put_render(self, *outputs: str) -> str:
        """Put a render into the ledger: finished, with these outputs, or waiting if there are none. Returns its id."""
        ledger, job_id, now = open_ledger(self.settings), str(uuid4()), time.time()
        try:
            job = Job(job_id, "acme", State.QUEUED, f"sources/acme/{job_id}", "pump.dxf", {}, now, now)
            ledger.jobs.accept(job)
            if outputs:
                claim = ledger.attempts.claim(job, lease_owner="host:1:x", now=now, lease=30)
                assert isinstance(claim, Claimed)
                made = self.home / job_id
                for name in outputs:
                    (made / name).parent.mkdir(parents=True)
                    (made / name).write_bytes(b"RIFF tile")
                artifact = secrets.token_hex(32)
                open_store(self.settings.store_url).publish_tree(made, artifact_prefix("acme", artifact))
                assert ledger.attempts.succeed(job_id, claim.job.attempt, now=now, artifact=artifact)
        finally:
            ledger.database.close()
        return job_id

    def process(self, name: str) -> Process:
        """A process by its program's name."""
        return next(process for process in self._processes if process.name == name)

    def stop(self) -> None:
        """End everything, last started first."""
        while self._processes:
            self._processes.pop().kill()

    def _is_heard(self, node: Node) -> bool:
        """Ask for a page of one node; whether all know of it a moment later."""
        get(node, "/page", STRANGER)
        time.sleep(0.05)
        return all(STRANGER in each.ask(f"show table fleet/seen{node.number}") for each in self.nodes)

    def _serve(self, nodes: list[Node]) -> list[Node]:
        for node in nodes:
            node.process.start()
            self._processes.append(node.process)
        for node in nodes:
            node.process.wait_ready()
        return nodes


@contextmanager
def serving() -> Iterator[Site]:
    """Two PHP-FPMs of four children, a server of files and the intake, whose ledger is empty. Raises NotInstalled."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-edge-"))  # www-data may not enter pytest's own directories
    home.chmod(0o755)
    site = Site(home, *_prepare(home))
    ports = assign_ports(home / "ports.json", ["php1", "php2", "static", "intake"])
    try:
        for name in ("php1", "php2"):
            site.start(fpm_program(name, ports[name], 4, home))
        site.start(static_program(ports["static"], home / "www", STATIC_KBYTES))
        site.start(_intake(site, ports["intake"]))
        yield site
    finally:
        site.stop()
        shutil.rmtree(home, ignore_errors=True)


def _prepare(home: Path) -> tuple[Settings, dict[str, str], str]:
    """Files and a ledger; settings of the intake, parameters of the edge, and where the second PHP-FPM listens."""
    for name, content in SCRIPTS.items():
        (home / "www" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "www" / name).write_text(content)
    values = {"ledger_url": f"sqlite:///{home}/ledger.db", "store_url": str(home / "store"), "tokens": {TOKEN: "acme"}}
    settings = Settings.model_validate({**values, "secret": secrets.token_hex(16)})
    ledger = open_ledger(settings)
    migrate(ledger.database)
    ledger.database.close()
    ports = assign_ports(home / "ports.json", ["php1", "php2", "static", "intake"])
    to = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    return (
        settings,
        {
            "DOCROOT": str(home / "www"),
            "PHP_1": to["php1"],
            "PHP_CHILDREN": "4",
            "STATIC": to["static"],
            "INTAKE_1": to["intake"],
        },
        to["php2"],
    )


def _intake(site: Site, port: int) -> Program:
    """The application of the web tier, with a WebSocket beside it."""
    command = (sys.executable, "-m", "uvicorn", "tests.services.edge.intake:create", "--factory")
    return Program(
        "intake",
        (*command, "--host", LOOPBACK, "--port", str(port), "--log-level", "warning"),
        is_ready=lambda: is_listening(port),
        environment={
            "PYTHONPATH": str(ROOT),
            "BULKHEAD_LEDGER_URL": site.settings.ledger_url.get_secret_value(),
            "BULKHEAD_STORE_URL": site.settings.store_url,
            "BULKHEAD_SECRET": site.settings.secret.get_secret_value(),
            "BULKHEAD_TOKENS": f'{{"{TOKEN}": "acme"}}',
            "BULKHEAD_BROKER_URL": "amqp://guest:guest@127.0.0.1:1//",
        },
        directory=site.home,
    )
