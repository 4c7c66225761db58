"""Debian's WordPress behind the edge: installed afresh by script, with MariaDB and our plugin in it."""

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
from tests.services.edge.front import WEB_USER, Front

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
    """A site that `front` serves. People are `USERS`, by name, each with a password of its own."""

    def __init__(self, front: Front, database_url: str) -> None:
        """Copy it into `front.www`, with its wp-config.php; nothing is installed yet. Raises NotInstalled."""
        if not SOURCE.exists():
            raise NotInstalled("WordPress", "wordpress php-mysql", "leave the tests of the plugin out")
        self.front = front
        self.home = front.www
        self.log = front.home / "debug.log"
        self.uploads = self.home / "wp-content/uploads"
        self.passwords = {name: secrets.token_hex(8) for name in USERS}
        shutil.copytree(SOURCE, self.home, ignore=shutil.ignore_patterns("wp-config.php"))
        shutil.copytree(SCRIPTS / "theme", self.home / "wp-content/themes/plain")
        subprocess.run(["sh", PACK, self.home / "wp-content/plugins/bulkhead"], check=True)
        self.uploads.mkdir(exist_ok=True)
        self.log.touch()
        configuration = self.home / "wp-config.php"
        configuration.write_text(self._configuration(database_url))
        configuration.chmod(0o640)
        if os.geteuid() == 0:
            for path in (self.uploads, self.log, configuration):
                shutil.chown(path, group=WEB_USER)
            self.uploads.chmod(0o2770)
            self.log.chmod(0o660)

    def install(self) -> None:
        """Tables, people, theme and plugin. MariaDB must be up."""
        people = [{"name": name, "role": role, "password": self.passwords[name]} for name, role in USERS.items()]
        asked = {"title": "Plant", "plugin": "bulkhead/bulkhead.php", "theme": "plain", "users": people}
        said = json.loads(self._php("install.php", text=json.dumps(asked)))
        assert said["error"] is None, said

    def run(self, code: str, user: str = "boss") -> Any:
        """What PHP code returns inside WordPress, run as that user."""
        return json.loads(self._php("run.php", user, text=code))

    def sign_in(self, context: BrowserContext, user: str) -> None:
        """Let the browser's context be that user's."""
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
            "WP_HOME": self.front.url,
            "WP_SITEURL": self.front.url,
            "LOGGED_IN_COOKIE": "wordpress_logged_in",  # what the edge knows who has signed in by
            **{name: secrets.token_hex(32) for name in KEYS},
            "WP_DEBUG": True,
            "WP_DEBUG_DISPLAY": False,
            "WP_DEBUG_LOG": str(self.log),
            "WP_HTTP_BLOCK_EXTERNAL": True,
            "DISABLE_WP_CRON": True,
            **self.front.variables,
        }
        lines = [f"define({json.dumps(name)}, {json.dumps(value)});" for name, value in constants.items()]
        return "<?php\n" + CONFIGURATION.format(constants="\n".join(lines))

    def _php(self, script: str, *arguments: str, text: str) -> str:
        environment = {**os.environ, "HTTP_HOST": self.front.url.removeprefix("http://")}
        command = [php.php(), str(SCRIPTS / script), str(self.home), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, self.log.read_text()[-4000:] + done.stderr
        return done.stdout.splitlines()[-1]
