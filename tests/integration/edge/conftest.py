"""A site behind the edge, a certificate and ticket keys, each for the tests of one file."""

import base64
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded.process import NotInstalled
from tests.conftest import skip_or_fail
from tests.services.edge.edge_site import Site, running_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    try:
        with running_site() as site:
            yield site
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificate")
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", *request, "-subj", "/CN=edge", "-keyout", path / "key", "-out", path / "crt"],
        check=True,
        capture_output=True,
    )
    (path / "pem").write_bytes((path / "crt").read_bytes() + (path / "key").read_bytes())
    return path / "pem"


@pytest.fixture(scope="module")
def ticket_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_bytes(b"".join(base64.b64encode(secrets.token_bytes(48)) + b"\n" for _ in range(3)))
    return path
