"""A fresh installation of Debian's WordPress behind the edge, with MariaDB and the plugin."""

import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext
from sqlalchemy.engine import make_url

from cli.embedded.process import NotInstalled
from tests.services.edge import php
from tests.services.edge.portal_site import WEB_USER, PortalSite

SOURCE = Path("/usr/share/wordpress")
SCRIPTS = Path(__file__).with_name("wordpress_site")
PACK = php.ROOT / "bridge/wordpress/pack.sh"
USERS = {"boss": "administrator", "ann": "author", "ben": "author", "sue": "subscriber"}
KEYS = ("AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT")

CONFIGURATION = """\
{constants}
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {{
    define('ABSPATH', __DIR__ . '/');
}}
require_once ABSPATH . 'wp-settings.php';
"""


class WordPress:
    """A WordPress site. `USERS` maps user names to roles; each user has a random password."""

    def __init__(self, portal: PortalSite, database_url: str) -> None:
        """Copy WordPress into the document root and write wp-config.php. Raises NotInstalled."""
        if not SOURCE.exists():
            raise NotInstalled("WordPress", "wordpress php-mysql", "skip the tests of the plugin")
        self.site = portal
        self.document_root = portal.www
        self.log = portal.home / "debug.log"
        self.uploads = self.document_root / "wp-content/uploads"
        self.passwords = {name: secrets.token_hex(8) for name in USERS}
        shutil.copytree(SOURCE, self.document_root, ignore=shutil.ignore_patterns("wp-config.php"))
        shutil.copytree(SCRIPTS / "theme", self.document_root / "wp-content/themes/plain")
        subprocess.run(["sh", PACK, self.document_root / "wp-content/plugins/bulkhead"], check=True)
        self.uploads.mkdir(exist_ok=True)
        self.log.touch()
        configuration = self.document_root / "wp-config.php"
        configuration.write_text(self._configuration(database_url))
        configuration.chmod(0o640)
        if os.geteuid() == 0:
            for path in (self.uploads, self.log, configuration):
                shutil.chown(path, group=WEB_USER)
            self.uploads.chmod(0o2770)
            self.log.chmod(0o660)

    def install(self) -> None:
        """Create tables and users, and activate theme and plugin. MariaDB must be running."""
        users = [{"name": name, "role": role, "password": self.passwords[name]} for name, role in USERS.items()]
        parameters = {"title": "Plant", "plugin": "bulkhead/bulkhead.php", "theme": "plain", "users": users}
        result = json.loads(self._php("install.php", text=json.dumps(parameters)))
        assert result["error"] is None, result

    def run_code(self, code: str, user: str = "boss") -> Any:
        """Run PHP code in WordPress as a user and return its result."""
        return json.loads(self._php("run.php", user, text=code))

    def sign_in(self, context: BrowserContext, user: str) -> None:
        """Sign a browser context in as a user."""
        page = context.new_page()
        page.goto("/wp-login.php")
        page.locator("#user_login").fill(user)
        page.locator("#user_pass").fill(self.passwords[user])
        with page.expect_navigation(url="**/wp-admin/**"):
            page.locator("#wp-submit").click()
        page.close()

    def _configuration(self, database_url: str) -> str:
        database = make_url(database_url)
        constants = {
            "DB_NAME": database.database,
            "DB_USER": database.username,
            "DB_PASSWORD": database.password,
            "DB_HOST": f"{database.host}:{database.port}",
            "DB_CHARSET": "utf8mb4",
            "WP_HOME": self.site.url,
            "WP_SITEURL": self.site.url,
            "LOGGED_IN_COOKIE": "wordpress_logged_in",  # the cookie by which the edge recognizes sessions
            **{name: secrets.token_hex(32) for name in KEYS},
            "WP_DEBUG": True,
            "WP_DEBUG_DISPLAY": False,
            "WP_DEBUG_LOG": str(self.log),
            "WP_HTTP_BLOCK_EXTERNAL": True,
            "DISABLE_WP_CRON": True,
            **self.site.variables,
        }
        lines = [f"define({json.dumps(name)}, {json.dumps(value)});" for name, value in constants.items()]
        return "<?php\n" + CONFIGURATION.format(constants="\n".join(lines))

    def _php(self, script: str, *arguments: str, text: str) -> str:
        environment = {**os.environ, "HTTP_HOST": self.site.url.removeprefix("http://")}
        command = [php.find_php(), str(SCRIPTS / script), str(self.document_root), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, self.log.read_text()[-4000:] + done.stderr
        return done.stdout.splitlines()[-1]
