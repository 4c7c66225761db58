"""A site behind the edge: PHP-FPM, static files, the web tier, and any number of HAProxies."""

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
from tests.services.edge.haproxy import Node, create_nodes
from tests.services.edge.programs import fpm_program, static_program
from tests.services.platform import ROOT

TOKEN = "token-of-acme-0001"
STATIC_KBYTES = 8192
SYNCHRONIZATION_TIMEOUT = 40.0  # seconds
WARM_UP_CLIENT = "203.0.113.250"  # checks that the nodes exchange counters

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
class Response:
    """A response, with the seconds that it took."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float


class Client(http.client.HTTPConnection):
    """A client whose `address` is sent to `node` by the PROXY protocol."""

    def __init__(self, node: Node, address: str = "203.0.113.1", *, timeout: float = 30) -> None:
        super().__init__(LOOPBACK, node.port, timeout=timeout)
        self._address = address

    def connect(self) -> None:
        super().connect()
        family, edge_address = ("TCP6", "2001:db8:ffff::1") if ":" in self._address else ("TCP4", "192.0.2.1")
        self.sock.sendall(f"PROXY {family} {self._address} {edge_address} 40000 443\r\n".encode())


def get(
    node: Node,
    path: str,
    address: str = "203.0.113.1",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    body: bytes | None = None,
) -> Response:
    """Send a request on a new connection. Raises OSError or http.client.HTTPException."""
    started = time.monotonic()
    client = Client(node, address)
    try:
        client.request(method, path, body, dict(headers or {}))
        response = client.getresponse()
        content = response.read()
        return Response(response.status, content, dict(response.getheaders()), time.monotonic() - started)
    finally:
        client.close()


@dataclass
class Site:
    """The servers behind the edge. `nodes` is the fleet of five with the default parameters."""

    home: Path
    settings: Settings
    parameters: dict[str, str]
    second_php: str
    nodes: list[Node] = field(default_factory=list)
    _processes: list[Process] = field(default_factory=list)

    def start(self, program: Program) -> Process:
        """Start a program and wait until it is ready; it stops with the site."""
        process = Process(program, self.home / "log")
        process.start()
        self._processes.append(process)
        process.wait_ready()
        return process

    def node(self, name: str, **parameters: str) -> Node:
        """Start another edge that has no peers, with additional parameters."""
        home = self.home / name
        home.mkdir()
        (node,) = create_nodes(home, {**self.parameters, **parameters}, numbers=[1])
        return self._serve([node])[0]

    def start_fleet(self, **parameters: str) -> None:
        """Start five nodes and wait until each has synchronized and receives the counters of all others.

        Peers that connect to each other at the same time disconnect and retry, and a node that is still synchronizing
        may receive its own outdated counters.
        """
        self.nodes = self._serve(create_nodes(self.home, {**self.parameters, **parameters}))
        deadline = time.monotonic() + SYNCHRONIZATION_TIMEOUT
        while not all(node.has_synchronized() and self._is_counted_by_all(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the nodes did not synchronize in time"
            time.sleep(0.3)

    def create_render(self, *outputs: str) -> str:
        """Insert a render into the ledger: finished with these outputs, or queued without any. Returns its id."""
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
        """The process of a program."""
        return next(process for process in self._processes if process.name == name)

    def stop(self) -> None:
        """Stop all processes in reverse order."""
        while self._processes:
            self._processes.pop().kill()

    def _is_counted_by_all(self, node: Node) -> bool:
        """Request a page from one node. Returns whether all nodes have counted it a moment later."""
        get(node, "/page", WARM_UP_CLIENT)
        time.sleep(0.05)
        return all(WARM_UP_CLIENT in each.run_command(f"show table fleet/rates{node.number}") for each in self.nodes)

    def _serve(self, nodes: list[Node]) -> list[Node]:
        for node in nodes:
            node.process.start()
            self._processes.append(node.process)
        for node in nodes:
            node.process.wait_ready()
        return nodes


@contextmanager
def running_site() -> Iterator[Site]:
    """Two PHP-FPMs with four children, lighttpd, and a web tier with an empty ledger. Raises NotInstalled."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-edge-"))  # www-data may not enter pytest's own directories
    home.chmod(0o755)
    site = Site(home, *_prepare(home))
    ports = assign_ports(home / "ports.json", ["php1", "php2", "static", "web"])
    try:
        for name in ("php1", "php2"):
            site.start(fpm_program(name, ports[name], 4, home))
        site.start(static_program(ports["static"], home / "www", STATIC_KBYTES))
        site.start(_web_program(site, ports["web"]))
        yield site
    finally:
        site.stop()
        shutil.rmtree(home, ignore_errors=True)


def _prepare(home: Path) -> tuple[Settings, dict[str, str], str]:
    """Create files and a ledger. Returns the web settings, the edge parameters and the second PHP-FPM's address."""
    for name, content in SCRIPTS.items():
        (home / "www" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "www" / name).write_text(content)
    values = {"ledger_url": f"sqlite:///{home}/ledger.db", "store_url": str(home / "store"), "tokens": {TOKEN: "acme"}}
    settings = Settings.model_validate({**values, "link_secret": secrets.token_hex(16)})
    ledger = open_ledger(settings)
    migrate(ledger.database)
    ledger.database.close()
    ports = assign_ports(home / "ports.json", ["php1", "php2", "static", "web"])
    addresses = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    return (
        settings,
        {
            "DOCROOT": str(home / "www"),
            "PHP_1": addresses["php1"],
            "PHP_MAX_REQUESTS": "4",
            "STATIC": addresses["static"],
            "WEB_1": addresses["web"],
        },
        addresses["php2"],
    )


def _web_program(site: Site, port: int) -> Program:
    """The web tier with an additional WebSocket."""
    command = (sys.executable, "-m", "uvicorn", "tests.services.edge.web_app:create", "--factory")
    return Program(
        "web",
        (*command, "--host", LOOPBACK, "--port", str(port), "--log-level", "warning"),
        is_ready=lambda: is_listening(port),
        environment={
            "PYTHONPATH": str(ROOT),
            "BULKHEAD_LEDGER_URL": site.settings.ledger_url.get_secret_value(),
            "BULKHEAD_STORE_URL": site.settings.store_url,
            "BULKHEAD_LINK_SECRET": site.settings.link_secret.get_secret_value(),
            "BULKHEAD_TOKENS": f'{{"{TOKEN}": "acme"}}',
            "BULKHEAD_BROKER_URL": "amqp://guest:guest@127.0.0.1:1//",
        },
        directory=site.home,
    )
