"""PHP-FPM with the pool of edge/php-fpm.d, on a port of its own, and the small server for files beside its scripts."""

from collections.abc import Mapping
from pathlib import Path

from cli.embedded.ports import LOOPBACK, is_listening
from cli.embedded.process import Program, find_program
from tasks.utils.files import write_atomically

EDGE = Path(__file__).resolve().parents[3] / "edge"
INSTEAD = "leave the tests of the edge out"


def fpm_program(name: str, port: int, children: int, home: Path, pool: Mapping[str, str] | None = None) -> Program:
    """PHP-FPM with `children` children that listens on `port`. Raises NotInstalled.

    `pool` has more lines of the pool's configuration: with them, Debian's php.ini and its modules are loaded, too.
    """
    configuration = home / f"{name}.conf"
    more = "".join(f'{key} = "{value}"\n' for key, value in (pool or {}).items())
    write_atomically(
        configuration,
        f"[global]\nerror_log = /dev/stderr\ndaemonize = no\ninclude = {EDGE}/php-fpm.d/bulkhead.conf\n"
        f"[bulkhead]\nlisten = {LOOPBACK}:{port}\npm.max_children = {children}\n{more}",
    )
    plain = () if pool else ("--no-php-ini",)
    return Program(
        name,
        (find_php_fpm(INSTEAD), *plain, "--fpm-config", str(configuration), "--allow-to-run-as-root"),
        is_ready=lambda: is_listening(port),
    )


def static_program(port: int, docroot: Path, kbytes: int) -> Program:
    """lighttpd that serves the files below `docroot`, `kbytes` KiB a second on each connection. Raises NotInstalled."""
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
    """Debian names it by its version, the highest of which is taken. Raises NotInstalled."""
    found = sorted(Path("/usr/sbin").glob("php-fpm[0-9]*"))
    return find_program(str(found[-1]) if found else "php-fpm", "php-fpm", instead)
