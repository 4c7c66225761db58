"""PHP-FPM with the pool of edge/php-fpm.d on a private port, and lighttpd for static files."""

from collections.abc import Mapping
from pathlib import Path

from cli.embedded.ports import LOOPBACK, is_listening
from cli.embedded.process import Program, find_program
from tasks.utils.files import write_atomically

EDGE = Path(__file__).resolve().parents[3] / "edge"
INSTEAD = "skip the tests of the edge"


def fpm_program(name: str, port: int, children: int, home: Path, settings: Mapping[str, str] | None = None) -> Program:
    """PHP-FPM with `children` children, listening on `port`. Raises NotInstalled.

    `settings` are additional pool settings; with them, Debian's php.ini and its extensions are loaded as well.
    """
    configuration = home / f"{name}.conf"
    lines = "".join(f'{key} = "{value}"\n' for key, value in (settings or {}).items())
    write_atomically(
        configuration,
        f"[global]\nerror_log = /dev/stderr\ndaemonize = no\ninclude = {EDGE}/php-fpm.d/bulkhead.conf\n"
        f"[bulkhead]\nlisten = {LOOPBACK}:{port}\npm.max_children = {children}\n{lines}",
    )
    options = () if settings else ("--no-php-ini",)
    return Program(
        name,
        (find_php_fpm(INSTEAD), *options, "--fpm-config", str(configuration), "--allow-to-run-as-root"),
        is_ready=lambda: is_listening(port),
    )


def static_program(port: int, docroot: Path, kbytes: int) -> Program:
    """lighttpd for the files below `docroot`, limited to `kbytes` KiB/s per connection. Raises NotInstalled."""
    return Program(
        "lighttpd",
        (find_program("/usr/sbin/lighttpd", "lighttpd", INSTEAD), "-D", "-f", f"{EDGE}/lighttpd/bulkhead.conf"),
        is_ready=lambda: is_listening(port),
        environment={
            "BULKHEAD_EDGE_STATIC_PORT": str(port),
            "BULKHEAD_EDGE_DOCROOT": str(docroot),
            "BULKHEAD_EDGE_STATIC_KBYTES": str(kbytes),
        },
    )


def find_php_fpm(instead: str) -> str:
    """Path of the newest PHP-FPM; Debian includes the version in its name. Raises NotInstalled."""
    found = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"))
    return find_program(str(found[-1]) if found else "php-fpm", "php-fpm", instead)
