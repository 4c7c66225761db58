"""A platform behind the edge, with a portal in PHP beside it: HAProxy, PHP-FPM, files, web tier and a worker."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.embedded.ports import LOOPBACK, assign_ports
from tests.services.edge.php import BRIDGE
from tests.services.edge.phpfpm import fpm_program, static_program
from tests.services.haproxy import fleet
from tests.services.platform import Platform

TENANT = "acme"
CHILDREN = 4
STATIC_KBYTES = 8192
WEB_USER = "www-data"  # whom the pool of edge/php-fpm.d runs as


class Front:
    """Where it lies and answers. `url` is the edge's address for browsers, `www` what PHP serves.

    Scripts find the platform in their environment as docs/guides/php.md says; the token stays there.
    """

    def __init__(self, home: Path, broker_url: str) -> None:
        """Prepare ports, folders and variables. Raises NotInstalled."""
        self.home = home
        self.www = home / "www"
        self.platform = Platform(home / "platform", broker_url)
        self.token = secrets.token_hex(16)
        self._ports = assign_ports(home / "ports.json", ["php", "static"])
        where = {
            "DOCROOT": str(self.www),
            "PHP_1": f"{LOOPBACK}:{self._ports['php']}",
            "PHP_CHILDREN": str(CHILDREN),
            "STATIC": f"{LOOPBACK}:{self._ports['static']}",
            "INTAKE_1": f"{LOOPBACK}:{self.platform.port}",
            "CHECK": "200ms",
        }
        (self._edge,) = fleet(home, where, numbers=[1])
        self.url = f"http://{LOOPBACK}:{self._edge.http_port}"
        self._make_store()
        self.variables = {
            "BULKHEAD_BROKER_URL": broker_url,
            "BULKHEAD_STORE_URL": str(self.platform.store),
            "BULKHEAD_TENANT": TENANT,
            "BULKHEAD_URL": self.url,
            "BULKHEAD_TOKEN": self.token,
        }

    def start(self, **settings: str) -> None:
        """Start everything but workers; `settings` are BULKHEAD_* of the web tier."""
        platform = self.platform
        platform.start_web(tokens=json.dumps({self.token: TENANT}), **settings)
        pool = {f"env[{name}]": value for name, value in self.variables.items()}
        pool["php_admin_value[upload_tmp_dir]"] = str(platform.store / ".tmp")
        platform.start(fpm_program("php", self._ports["php"], CHILDREN, self.home, pool))
        platform.start(static_program(self._ports["static"], self.www, STATIC_KBYTES))
        platform.adopt(self._edge.process)

    def _make_store(self) -> None:
        """The store's folders as docs/guides/php.md says: of a group that has PHP's user and the workers'."""
        for folder in (self.platform.store, self.platform.store / ".tmp", self.platform.store / "sources"):
            folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                shutil.chown(folder, group=WEB_USER)
                folder.chmod(0o2770)


@contextmanager
def fronted(broker_url: str, lay: Callable[[Front], None], **settings: str) -> Iterator[Front]:
    """Everything but workers runs inside; `lay` puts the portal's scripts into `www` before. Raises NotInstalled."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-front-"))  # www-data may not enter pytest's own directories
    home.chmod(0o755)
    front = None
    try:
        front = Front(home, broker_url)
        lay(front)
        front.start(**settings)
        yield front
    finally:
        if front is not None:
            front.platform.kill()
        shutil.rmtree(home, ignore_errors=True)


def lay_examples(front: Front) -> None:
    """The endpoints of bridge/php/examples, served; the bridge itself beside them, out of reach."""
    shutil.copytree(BRIDGE, front.home / "bridge")
    front.www.mkdir()
    for name in ("upload.php", "show.php"):
        (front.www / name).write_text(f"<?php require '{front.home}/bridge/examples/{name}';\n")
    (front.www / "index.php").write_text(
        '<!doctype html><title>Portal</title><form action="/upload.php" method="post" enctype="multipart/form-data">'
        '<input type="file" name="blueprint"><button>Send</button></form>'
    )
