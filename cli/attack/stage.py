"""The scene of attacks on this machine: files and sockets that an attack would have to change, and whether it did."""

import hashlib
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tasks.settings import ENVIRONMENT_FILE, Settings
from tasks.utils.files import temporary_directory
from tasks.utils.units import MIB
from workers.sandbox.attacks.attack import Scene
from workers.sandbox.watch import Limits

# Small, so that all attacks take less than a minute. `wall` is generous, since a slow host is no success of an attack.
LIMITS = Limits(memory=256 * MIB, cpu=1.0, idle=1.0, wall=60.0, file=4 * MIB, disk=8 * MIB)

# The variable of the trusted process that holds the secret for which attacks search.
CANARY_VARIABLE = "BULKHEAD_ATTACK_CANARY"
_CANARY = "bulkhead-attack-canary-"

_SYSTEM_SETTINGS = Path("/etc/bulkhead/bulkhead.env")
_DEFAULT_BROKER_PORT = 5672


@dataclass(frozen=True, slots=True)
class Stage:
    """A directory with the files of somebody else, and listening sockets to which nobody may connect."""

    folder: Path
    scene: Scene
    listeners: tuple[socket.socket, ...]

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """The state of all files of others, which no attack may change."""
        return {str(path): _facts(path) for path in sorted(self.folder.rglob("*")) if "jobs" not in path.parts}

    def connections(self) -> int:
        """How many attacks have connected to a listening socket."""
        found = 0
        for listener in self.listeners:
            with suppress(BlockingIOError):
                listener.accept()[0].close()
                found += 1
        return found

    @contextmanager
    def job(self) -> Iterator[Scene]:
        """The scene of one attack, with an empty working directory."""
        with temporary_directory(self.folder / "jobs", "") as work:
            (work / "out").mkdir()
            (work / "own").write_bytes(b"content")
            (work / "closed").touch(mode=0)
            yield replace(self.scene, work=work)


@contextmanager
def prepared_stage(parent: Path, targets: Mapping[str, Path] = {}, broker_port: int | None = None) -> Iterator[Stage]:
    """A stage below the directory `parent`. `targets` and the broker's port are real ones; others are made."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_directory(parent.resolve(), "bulkhead-attack-"))
        secret = secrets.token_hex(16)
        os.environ[CANARY_VARIABLE] = f"{_CANARY}{secret}"
        stack.callback(os.environ.pop, CANARY_VARIABLE)
        unix_socket = folder / "socket"
        listeners = _listen(stack, unix_socket)
        port = listeners[0].getsockname()[1]
        scene = Scene(
            source=_file(folder / "source"),
            readable=_file(folder / "readable/file").parent,
            work=folder,
            secret=_file(folder / "secret"),
            targets={**_made_targets(folder), **targets},
            ports={"listener": port, "broker": broker_port or port},
            unix_socket=unix_socket,
            canary=_CANARY,
            canary_digest=hashlib.sha256(secret.encode()).hexdigest(),
            memory=LIMITS.memory,
            disk=LIMITS.disk,
            file=LIMITS.file,
            seconds=1.0,
        )
        _file(folder / "readable/other")
        (folder / "jobs").mkdir()
        yield Stage(folder, scene, listeners)


def real_targets(current: Settings) -> dict[str, Path]:
    """The files of this platform that attacks try to open: ledger, store and settings, as far as they are local."""
    found = {}
    ledger, store = urlsplit(current.ledger_url.get_secret_value()), urlsplit(current.store_url)
    if ledger.scheme.startswith("sqlite"):
        found["ledger"] = Path(ledger.path.removeprefix("/"))
    if store.scheme in ("", "file"):
        found["store"] = Path(store.path)
    for path in (current.var / ENVIRONMENT_FILE, _SYSTEM_SETTINGS):
        found["settings"] = path
    return {name: path.resolve() for name, path in found.items() if _exists(path)}


def real_broker_port(current: Settings) -> int | None:
    """The port of the broker if it is on this host."""
    broker = urlsplit(current.broker_url.get_secret_value().split(";")[0])
    return (broker.port or _DEFAULT_BROKER_PORT) if broker.hostname in ("localhost", "127.0.0.1") else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _made_targets(folder: Path) -> dict[str, Path]:
    neighbour = folder / "neighbour"
    work = neighbour / "work"
    return {
        "ledger": _file(folder / "ledger.sqlite"),
        "store": _file(folder / "store/output").parent,
        "settings": _file(folder / ENVIRONMENT_FILE),
        "neighbour's source": _file(neighbour / "source"),
        "neighbour's output": _file(work / "out/preview.webp"),
        "neighbour's work": work,
    }


def _file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    return path


def _listen(stack: ExitStack, path: Path) -> tuple[socket.socket, ...]:
    """A TCP port of the loopback address, a UNIX socket, and an abstract one of the same name."""
    tcp, unix, abstract = (
        stack.enter_context(socket.socket(family)) for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_UNIX)
    )
    tcp.bind(("127.0.0.1", 0))
    unix.bind(str(path))
    abstract.bind(f"\0{path}")
    for listener in (tcp, unix, abstract):
        listener.listen()
        listener.settimeout(0)
    return tcp, unix, abstract


def _facts(path: Path) -> tuple[object, ...]:
    stat = path.lstat()
    content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    return stat.st_mode, stat.st_uid, stat.st_gid, stat.st_nlink, stat.st_mtime_ns, content
