"""A platform and a PHP portal behind the edge: HAProxy, PHP-FPM, static files, the web tier and a worker."""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.embedded.ports import LOOPBACK, assign_ports
from tests.services.edge.haproxy import create_nodes
from tests.services.edge.php import BRIDGE
from tests.services.edge.programs import fpm_program, static_program
from tests.services.platform import Platform

TENANT = "acme"
CHILDREN = 4
STATIC_KBYTES = 8192
WEB_USER = "www-data"  # user of the pool in edge/php-fpm.d


class PortalSite:
    """The site. `url` is the URL of the edge, `www` the document root of PHP.

    Scripts are configured by environment variables as docs/guides/php.md describes; the token stays on the server.
    """

    def __init__(self, home: Path, broker_url: str) -> None:
        """Allocate ports and create folders and variables. Raises NotInstalled."""
        self.home = home
        self.www = home / "www"
        self.platform = Platform(home / "platform", broker_url)
        self.token = secrets.token_hex(16)
        self._ports = assign_ports(home / "ports.json", ["php", "static"])
        parameters = {
            "DOCROOT": str(self.www),
            "PHP_1": f"{LOOPBACK}:{self._ports['php']}",
            "PHP_MAX_REQUESTS": str(CHILDREN),
            "STATIC": f"{LOOPBACK}:{self._ports['static']}",
            "WEB_1": f"{LOOPBACK}:{self.platform.port}",
            "CHECK_INTERVAL": "200ms",
        }
        (self._edge,) = create_nodes(home, parameters, numbers=[1])
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
        """Start everything except workers; `settings` are settings of the web tier."""
        platform = self.platform
        platform.start_web(tokens=json.dumps({self.token: TENANT}), **settings)
        pool = {f"env[{name}]": value for name, value in self.variables.items()}
        pool["php_admin_value[upload_tmp_dir]"] = str(platform.store / ".tmp")
        platform.start(fpm_program("php", self._ports["php"], CHILDREN, self.home, pool))
        platform.start(static_program(self._ports["static"], self.www, STATIC_KBYTES))
        platform.adopt(self._edge.process)

    def _make_store(self) -> None:
        """Create the folders of the store, owned by a group of PHP's user and the workers' (docs/guides/php.md)."""
        for folder in (self.platform.store, self.platform.store / ".tmp", self.platform.store / "sources"):
            folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                shutil.chown(folder, group=WEB_USER)
                folder.chmod(0o2770)


@contextmanager
def running_portal(
    broker_url: str, install_scripts: Callable[[PortalSite], None], **settings: str
) -> Iterator[PortalSite]:
    """Run everything except workers; first, `install_scripts` fills `www`. Raises NotInstalled."""
    home = Path(tempfile.mkdtemp(prefix="bulkhead-front-"))  # www-data may not enter pytest's own directories
    home.chmod(0o755)
    site = None
    try:
        site = PortalSite(home, broker_url)
        install_scripts(site)
        site.start(**settings)
        yield site
    finally:
        if site is not None:
            site.platform.kill()
        shutil.rmtree(home, ignore_errors=True)


def install_examples(site: PortalSite) -> None:
    """Install the endpoints of bridge/php/examples, with the PHP client outside the document root."""
    shutil.copytree(BRIDGE, site.home / "bridge")
    site.www.mkdir()
    for name in ("upload.php", "show.php"):
        (site.www / name).write_text(f"<?php require '{site.home}/bridge/examples/{name}';\n")
    (site.www / "index.php").write_text(
        '<!doctype html><title>Portal</title><form action="/upload.php" method="post" enctype="multipart/form-data">'
        '<input type="file" name="blueprint"><button>Send</button></form>'
    )
