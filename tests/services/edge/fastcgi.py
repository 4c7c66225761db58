"""A real PHP-FPM, and a FastCGI client that acts as its web server."""

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cli.embedded.process import Process, Program
from tasks.utils.files import write_atomically
from tests.services.edge.php import INSTEAD
from tests.services.edge.programs import find_php_fpm

# FastCGI 1.0: record types, the responder role, and the maximum content of a record.
BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
RESPONDER = 1
MAX_CONTENT = 65_535

CONFIGURATION = """\
[global]
daemonize = no
error_log = /proc/self/fd/2
[bridge]
listen = {socket}
pm = static
pm.max_children = {children}
clear_env = no
catch_workers_output = yes
php_admin_value[error_log] = /proc/self/fd/2
php_admin_value[memory_limit] = 32M
php_admin_value[upload_max_filesize] = {upload_limit}
php_admin_value[post_max_size] = {post_limit}
php_admin_value[upload_tmp_dir] = {spool}
php_admin_value[opcache.enable] = 1
{user}
"""


class Response(NamedTuple):
    """The response of a script."""

    status: int
    headers: dict[str, str]
    body: bytes
    errors: bytes


class FpmPool:
    """A running PHP-FPM pool."""

    def __init__(self, address: str, process: Process) -> None:
        self.address = address
        self.process = process

    def request(self, script: Path, body: bytes = b"", method: str = "POST", **headers: str) -> Response:
        """Request a script. `headers` have CGI names: content_type, http_traceparent."""
        params = {
            "SCRIPT_FILENAME": str(script),
            "SCRIPT_NAME": f"/{script.name}",
            "REQUEST_URI": f"/{script.name}",
            "REQUEST_METHOD": method,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            **{name.upper(): value for name, value in headers.items()},
        }
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(self.address)
            connection.sendall(_record(BEGIN, struct.pack(">HB5x", RESPONDER, 0)))
            connection.sendall(b"".join(_stream(PARAMS, b"".join(map(_pair, params.items())))))
            for record in _stream(STDIN, body):
                connection.sendall(record)
            with connection.makefile("rb") as response:
                streams = {STDOUT: b"", STDERR: b""}
                while (head := response.read(8)) and head[1] != END:
                    _version, kind, _request, length, padding, _reserved = struct.unpack(">BBHHBB", head)
                    streams[kind] += response.read(length)
                    response.read(padding)
        return _parse_response(streams[STDOUT], streams[STDERR])


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def _stream(kind: int, content: bytes) -> Iterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(content), MAX_CONTENT):
        yield _record(kind, bytes(view[start : start + MAX_CONTENT]))
    yield _record(kind, b"")


def _pair(pair: tuple[str, str]) -> bytes:
    name, value = (text.encode() for text in pair)
    return struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def _parse_response(output: bytes, errors: bytes) -> Response:
    head, _, body = output.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
    headers = {name.lower(): value for name, _, value in lines}
    return Response(int(headers.pop("status", "200").split()[0]), headers, body, errors)


@contextmanager
def running_fpm(
    home: Path, environment: Mapping[str, str], *, children: int = 2, upload_limit: str = "1M", post_limit: str = "2M"
) -> Iterator[FpmPool]:
    """Run a pool below `home` inside the context. Raises NotInstalled."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "spool").mkdir(exist_ok=True)
    address = str(home / "fpm.sock")
    configuration = home / "fpm.conf"
    is_root = os.geteuid() == 0
    text = CONFIGURATION.format(
        socket=address,
        children=children,
        spool=home / "spool",
        upload_limit=upload_limit,
        post_limit=post_limit,
        user="user = root\ngroup = root" if is_root else "",
    )
    write_atomically(configuration, text)
    command = [
        find_php_fpm(INSTEAD),
        "--nodaemonize",
        "--fpm-config",
        str(configuration),
        *(["--allow-to-run-as-root"] if is_root else []),
    ]
    process = Process(
        Program("fpm", tuple(command), is_ready=lambda: _accepts_connections(address), environment=environment),
        home / "log",
    )
    process.start()
    try:
        process.wait_ready()
        yield FpmPool(address, process)
    finally:
        process.stop()


def _accepts_connections(address: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
    except OSError:
        return False
    return True
