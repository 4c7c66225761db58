"""What a ticket key decrypts, shown with tickets of a real HAProxy; see docs/operations/threat-model.md."""

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

# RFC 5077: key name, initialisation vector, encrypted session, and a MAC over all of it. An HAProxy key consists of its
# name, the cipher key (32 bytes) and the MAC key (32 bytes), in this order.
NAME = IV = 16
MAC = KEY = 32


def ticket_of(text: str) -> bytes:
    """The ticket in the output of `openssl sess_id -text`: lines with an offset, 16 bytes in hex, and as text."""
    lines = re.findall(r"^ +[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -]){1,16})", text, re.MULTILINE)
    return bytes.fromhex("".join(lines).replace("-", "").replace(" ", ""))


def decrypted(ticket: bytes, key: bytes) -> bytes:
    """The session in a ticket, decrypted with the key."""
    signed, mac = ticket[:-MAC], ticket[-MAC:]
    assert signed[:NAME] == key[:NAME]
    assert hmac.digest(key[NAME + KEY :], signed, "sha256") == mac
    decryptor = Cipher(AES(key[NAME : NAME + KEY]), CBC(signed[NAME : NAME + IV])).decryptor()
    return decryptor.update(signed[NAME + IV :]) + decryptor.finalize()


def session(node: FleetNode, version: str, folder: Path) -> tuple[str, dict[str, bytes]]:
    """A client's session as text, and the secrets that it logged."""
    file, keylog = folder / "session", folder / "keylog"
    command = ["openssl", "s_client", "-connect", node.address, f"-{version}", "-sess_out", str(file)]
    command += ["-keylogfile", str(keylog), "-ign_eof", "-quiet"]
    subprocess.run(command, input=b"HEAD / HTTP/1.0\r\n\r\n", capture_output=True, timeout=20)
    session_text = subprocess.run(
        ["openssl", "sess_id", "-in", file, "-text", "-noout"], capture_output=True, text=True
    )
    logged = [line.split() for line in keylog.read_text().splitlines() if not line.startswith("#")]
    return session_text.stdout, {label: bytes.fromhex(secret) for label, _random, secret in logged}


def test_given_the_key_then_a_tls_1_2_ticket_discloses_the_master_secret_and_so_all_recorded_traffic(
    fleet: Fleet, tmp_path: Path
) -> None:
    text, secrets = session(fleet[0], "tls1_2", tmp_path)
    encrypting = fleet[0].haproxy_keys()[1]

    plain = decrypted(ticket_of(text), encrypting.value)

    assert set(secrets) == {"CLIENT_RANDOM"}  # NSS key log: its secret is the master secret
    assert secrets["CLIENT_RANDOM"] in plain


def test_given_the_key_then_a_tls_1_3_ticket_discloses_the_resumption_key_but_no_traffic_secret(
    fleet: Fleet, tmp_path: Path
) -> None:
    text, secrets = session(fleet[0], "tls1_3", tmp_path)
    encrypting = fleet[0].haproxy_keys()[1]
    resumption = re.search(r"Resumption PSK: ([0-9A-F]+)", text)
    assert resumption is not None

    plain = decrypted(ticket_of(text), encrypting.value)

    assert bytes.fromhex(resumption[1]) in plain
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"} <= set(secrets)
    assert [label for label, secret in secrets.items() if secret in plain] == []
