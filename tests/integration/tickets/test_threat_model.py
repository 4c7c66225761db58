"""What a ticket key opens: shown with tickets of a real HAProxy, as docs/operations/threat-model.md tells it."""

import hmac
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.services.fleet import Fleet, FleetNode

pytestmark = pytest.mark.service

# RFC 5077: the name of the key, an initialisation vector, the session, a code that authenticates all of it. HAProxy
# keeps name, key of the cipher (32 bytes) and key of the code (32 bytes) in this order.
NAME = IV = 16
CODE = KEY = 32


def ticket_of(text: str) -> bytes:
    """The ticket of what `openssl sess_id -text` prints: lines of an offset, 16 bytes in hex, and the same as text."""
    lines = re.findall(r"^ +[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -]){1,16})", text, re.MULTILINE)
    return bytes.fromhex("".join(lines).replace("-", "").replace(" ", ""))


def opened(ticket: bytes, key: bytes) -> bytes:
    """The session in a ticket, for him who has the key."""
    signed, code = ticket[:-CODE], ticket[-CODE:]
    assert signed[:NAME] == key[:NAME]
    assert hmac.digest(key[NAME + KEY :], signed, "sha256") == code
    decryptor = Cipher(AES(key[NAME : NAME + KEY]), CBC(signed[NAME : NAME + IV])).decryptor()
    return decryptor.update(signed[NAME + IV :]) + decryptor.finalize()


def session(node: FleetNode, version: str, folder: Path) -> tuple[str, dict[str, bytes]]:
    """A client's own account of a session, and the secrets that it logged."""
    file, keylog = folder / "session", folder / "keylog"
    command = ["openssl", "s_client", "-connect", node.address, f"-{version}", "-sess_out", str(file)]
    command += ["-keylogfile", str(keylog), "-ign_eof", "-quiet"]
    subprocess.run(command, input=b"HEAD / HTTP/1.0\r\n\r\n", capture_output=True, timeout=20)
    shown = subprocess.run(["openssl", "sess_id", "-in", file, "-text", "-noout"], capture_output=True, text=True)
    logged = [line.split() for line in keylog.read_text().splitlines() if not line.startswith("#")]
    return shown.stdout, {label: bytes.fromhex(secret) for label, _random, secret in logged}


def test_given_the_key_then_the_master_secret_of_tls_1_2_comes_out_of_the_ticket_and_with_it_all_recorded_traffic(
    fleet: Fleet, tmp_path: Path
) -> None:
    shown, secrets = session(fleet[0], "tls1_2", tmp_path)
    encrypting = fleet[0].ring()[1]

    plain = opened(ticket_of(shown), encrypting.value)

    assert set(secrets) == {"CLIENT_RANDOM"}  # NSS key log: its secret is the master secret
    assert secrets["CLIENT_RANDOM"] in plain


def test_given_the_key_then_a_ticket_of_tls_1_3_opens_a_resumption_but_no_secret_of_recorded_traffic(
    fleet: Fleet, tmp_path: Path
) -> None:
    shown, secrets = session(fleet[0], "tls1_3", tmp_path)
    encrypting = fleet[0].ring()[1]
    resumption = re.search(r"Resumption PSK: ([0-9A-F]+)", shown)
    assert resumption is not None

    plain = opened(ticket_of(shown), encrypting.value)

    assert bytes.fromhex(resumption[1]) in plain
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"} <= set(secrets)
    assert [label for label, secret in secrets.items() if secret in plain] == []
