"""An edge node as `setup/node.sh` prepares it, under a real systemd, with Debian's HAProxy."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import NotInstalled, find_program
from tests.conftest import skip_or_fail
from tests.services.fleet import INSTEAD, certificate
from tests.services.platform import ROOT
from tests.services.private_systemd import PrivateSystemd, private_systemd
from workers.tickets.node.server import FRAME_LENGTH
from workers.tickets.verify import handshake, tls_context

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

PROGRAM = "/usr/local/lib/bulkhead/bulkhead-tickets-node"
KEYRING = "/run/bulkhead-tickets/keyring"

CONFIGURATION = """
global
    user haproxy
    group haproxy
    stats socket /run/haproxy/tickets.sock user bulkhead-tickets mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend edge
    bind {host}:{port} ssl crt /etc/haproxy/edge.pem tls-ticket-keys {keyring}
    http-request return status 200
"""


class Node:
    """The node, and the address at which it serves TLS."""

    def __init__(self, systemd: PrivateSystemd, address: str) -> None:
        self.systemd = systemd
        self.address = address

    def resumes(self) -> bool:
        """Whether a TLS session is resumed."""
        context = tls_context("1.3")
        session, _ = handshake(context, self.address, None, None, 5)
        return handshake(context, self.address, session, None, 5)[1]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("node")
    files, key = home / "files", home / "jump.pub"
    key.write_text("ssh-ed25519 AAAA jump\n# another host\nssh-ed25519 BBBB second\n")
    port = assign_ports(home / "ports.json", ["edge"])["edge"]
    environment = {**os.environ, "DESTDIR": str(files)}
    subprocess.run(["sh", str(ROOT / "setup/node.sh"), str(key)], check=True, env=environment)
    (files / "etc/haproxy").mkdir()
    (files / "etc/haproxy/haproxy.cfg").write_text(CONFIGURATION.format(host=LOOPBACK, port=port, keyring=KEYRING))
    certificate(files / "etc/haproxy/edge.pem")
    (home / "systemd").mkdir()
    try:
        find_program("/usr/sbin/haproxy", "haproxy", INSTEAD)
        with private_systemd(home / "systemd", files, {}) as systemd:
            systemd.run("systemd-sysusers")
            systemd.run("chown", "--recursive", "bulkhead-tickets:", "/var/lib/bulkhead-tickets")
            systemd.systemctl("enable", "bulkhead-tickets-bootstrap")
            systemd.systemctl("start", "haproxy")
            yield Node(systemd, f"{LOOPBACK}:{port}")
    except NotInstalled as error:
        skip_or_fail(error)


def test_given_a_node_that_boots_then_haproxy_serves_with_a_keyring_that_only_its_user_may_read(node: Node) -> None:
    assert node.resumes()
    owner = node.systemd.run("stat", "--format=%U %a", KEYRING)
    assert owner == "bulkhead-tickets 600\n"
    assert node.systemd.show("bulkhead-tickets-bootstrap", "ActiveState") == "active"
    assert [node.systemd.show("haproxy", name) for name in ("LimitCORE", "MemorySwapMax")] == ["0", "0"]


def test_given_an_empty_tmpfs_when_the_node_boots_then_it_serves_again(node: Node) -> None:
    before = node.systemd.run("cat", KEYRING)
    node.systemd.systemctl("stop", "haproxy", "bulkhead-tickets-bootstrap")
    node.systemd.run("rm", "--recursive", "/run/bulkhead-tickets")

    node.systemd.systemctl("start", "haproxy")

    assert node.resumes()
    assert node.systemd.run("cat", KEYRING) != before


def test_given_the_forced_command_then_its_user_reaches_keyring_record_and_haproxy_only(node: Node) -> None:
    frame = json.dumps({"op": "status"}).encode()
    sent = "".join(f"\\{byte:03o}" for byte in FRAME_LENGTH.pack(len(frame)) + frame)
    command = f"printf '{sent}' | runuser -u bulkhead-tickets -- {PROGRAM} serve | tail -c +5"

    status = json.loads(node.systemd.run("sh", "-c", command))["status"]

    assert (status["haproxy_running"], status["generation"], status["key_size"]) == (True, 0, 80)
    lines = node.systemd.run("cat", "/var/lib/bulkhead-tickets/.ssh/authorized_keys").splitlines()
    forced = f'restrict,command="{PROGRAM} serve"'
    assert lines == [f"{forced} ssh-ed25519 AAAA jump", f"{forced} ssh-ed25519 BBBB second"]


def test_given_a_recent_keyring_then_the_key_age_unit_succeeds_and_fails_with_an_old_one(node: Node) -> None:
    unit = "bulkhead-tickets-key-age-alarm"
    node.systemd.systemctl("start", unit)
    assert node.systemd.show(unit, "Result") == "success"

    old = 's/"since": [0-9]*/"since": 1/'
    node.systemd.run("sed", "--in-place", old, "/var/lib/bulkhead-tickets/record.json")
    before = node.systemd.run("cat", KEYRING)
    node.systemd.systemctl("start", unit, check=False)

    assert node.systemd.show(unit, "Result") == "exit-code"
    assert "No ticket key has arrived for" in node.systemd.journal(unit)
    assert node.systemd.run("cat", KEYRING) != before  # it is also older than a day
    assert node.resumes()


def test_given_the_units_of_a_node_then_systemd_verifies_them(node: Node) -> None:
    units = [f"/etc/systemd/system/{path.name}" for path in (ROOT / "systemd/node").glob("bulkhead-*")]

    assert node.systemd.run("systemd-analyze", "verify", "--man=no", *units) == ""
    for unit in units:
        if unit.endswith(".service"):
            node.systemd.run("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
