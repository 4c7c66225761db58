"""A private Redis: Debian's package, run by an ordinary user, bound to 127.0.0.1, with a random password."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import redis

from cli.embedded.environment import read_environment_file
from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.process import Program, find_program
from tasks.utils.files import make_private_directory, write_atomically

PACKAGE = "redis-server"
ALTERNATIVE = "set BULKHEAD_REDIS_URL to an existing Redis"

# It holds the latest readings, which are rewritten within seconds: one snapshot per minute is enough.
CONFIGURATION = """\
bind {loopback}
port {port}
requirepass {password}
dir "{home}"
save 60 1
maxmemory 128mb
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class RedisServer:
    """A prepared Redis: its URL, and the program to start."""

    url: str
    program: Program


def prepare_redis(home: Path) -> RedisServer:
    """Write the configuration of Redis below `home` (created if missing) and return its program.

    Port, password and data of an earlier run are reused. Raises NotInstalled, PortsExhausted.
    """
    server = find_program("redis-server", PACKAGE, ALTERNATIVE)
    home = make_private_directory(home)
    port = assign_ports(home / "ports.json", ["redis"])["redis"]
    credentials = home / "credentials"
    if not credentials.exists():
        write_atomically(credentials, f"password={secrets.token_hex(20)}\n")
    password = read_environment_file(credentials)["password"]
    configuration = home / "redis.conf"
    write_atomically(configuration, CONFIGURATION.format(loopback=LOOPBACK, port=port, password=password, home=home))
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    program = Program(
        name="redis", command=(server, str(configuration)), is_ready=lambda: _answers_ping(url), directory=home
    )
    return RedisServer(url, program)


def is_private(url: str, home: Path) -> bool:
    """Whether `url` belongs to the Redis that was prepared below `home`."""
    password = read_environment_file(home / "credentials").get("password")
    return password is not None and f":{password}@" in url


def _answers_ping(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
