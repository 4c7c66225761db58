"""Outputs and reports that are not those of a render."""

import fcntl
import json
import os
import stat
import time
from pathlib import Path

from workers.sandbox.attacks.attack import Scene, fatal

_MANIFEST = "manifest.json"
_MANIFEST_BYTES = 1024**3


def _pipe() -> int:
    """The pipe for reports."""
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone
        try:
            descriptor = int(entry)
            mode, flags = os.fstat(descriptor).st_mode, fcntl.fcntl(descriptor, fcntl.F_GETFL)
        except OSError:
            continue
        if stat.S_ISFIFO(mode) and flags & os.O_ACCMODE == os.O_WRONLY and descriptor > 2:
            return descriptor
    raise OSError(9, "no pipe")


def _flood(_scene: Scene) -> None:
    """Report more than an hour of progress."""
    line = json.dumps({"progress": {"percent": 1, "stage": "draw", "layer": "x" * 900}}).encode() + b"\n"
    pipe = _pipe()
    for _ in range(20_000):
        os.write(pipe, line)
    time.sleep(1)


def _endless_line(_scene: Scene) -> None:
    pipe = _pipe()
    for _ in range(5000):
        os.write(pipe, b"x" * 4096)
    time.sleep(1)


def _forged_reports(_scene: Scene) -> None:
    """Huge percentages, invalid JSON, deep JSON, wrong types, escape sequences; a second result."""
    lines = (
        b'{"progress": {"percent": 10000000000, "stage": "x"}}',
        b'{"progress": {"percent": "99", "stage": "x"}}',
        b'{"progress": {"percent": NaN, "stage": "x"}}',
        b'{"progress": {"percent": 1, "stage": "\\u001b[2J"}}',
        b'{"progress": {"percent": 1, "stage": "' + b"x" * 5000 + b'"}}',
        b"[" * 30_000,
        b"\xff\xfe\x00",
        b'{"result": {"memory_growth_bytes": ' + b"9" * 4000 + b"}}",
        b'{"result": {"memory_growth_bytes": 1e400, "out": "/etc"}}',
        b'{"ended": {"status": 0}}',
    )
    os.write(_pipe(), b"\n".join(lines) + b"\n")


def _forged_result(_scene: Scene) -> None:
    """Report a result and end like a render that is done, without having drawn anything."""
    os.write(_pipe(), b'{"result": {}}\n{"result": {"a": 1}}\n')
    os._exit(0)


def _forged_engine_error(_scene: Scene) -> None:
    """Report that this machine lacks the engine, so that the job is repeated elsewhere."""
    os.write(_pipe(), b'{"failure": {"code": "engine-unavailable", "message": "x"}}\n')
    os._exit(1)


def _write(path: Path, content: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _large_manifest(scene: Scene) -> None:
    """A manifest of 1 GB that takes no space on disk."""
    with (scene.out / _MANIFEST).open("wb") as file:
        file.truncate(min(_MANIFEST_BYTES, scene.file))


def _manifest(scene: Scene, name: str) -> None:
    """A valid manifest that names another file as its preview."""
    digest = "0" * 64
    manifest = {
        "engine": "1",
        "source": {"sha256": digest, "format": "svg", "bytes": 1},
        "options": {},
        "preview": {"file": name, "bytes": 1, "sha256": digest, "width": 1, "height": 1},
        "layers": [],
        "warnings": [],
    }
    _write(scene.out / _MANIFEST, json.dumps(manifest).encode())


FORGERY = fatal(
    "output check",
    {
        "no output": ("invalid-output", "Reports a result without any output.", lambda _scene: None),
        "forged result": ("invalid-output", "Reports a result and ends before the render.", _forged_result),
        "forged reports": ("invalid-output", "Reports nonsense.", _forged_reports),
        "manifest of 1 GB": (
            "invalid-output",
            "Leaves a manifest that fills the memory of its reader.",
            _large_manifest,
        ),
        "manifest that is no JSON": (
            "invalid-output",
            "Leaves a manifest that is none.",
            lambda scene: _write(scene.out / _MANIFEST, b"[" * 100_000),
        ),
        "manifest with ..": (
            "invalid-output",
            "Names a file outside its output.",
            lambda scene: _manifest(scene, "../../secret"),
        ),
        "manifest with an absolute path": (
            "invalid-output",
            "Names a foreign file as its preview.",
            lambda scene: _manifest(scene, str(scene.secret)),
        ),
        "directory as manifest": (
            "invalid-output",
            "Leaves a directory named like the manifest.",
            lambda scene: (scene.out / _MANIFEST).mkdir(),
        ),
        "foreign name": ("invalid-output", "Leaves a page.", lambda scene: _write(scene.out / "index.html")),
        "name with line breaks": (
            "invalid-output",
            "Leaves a name that forges log lines.",
            lambda scene: _write(scene.out / "a\nERROR forged \x1b[2J"),
        ),
        "name that is no text": (
            "invalid-output",
            "Leaves a name that is no UTF-8.",
            lambda scene: _write(Path(os.fsdecode(bytes(scene.out) + b"/\xff\xfe"))),
        ),
        "page as picture": (
            "invalid-output",
            "Leaves a page named like a picture.",
            lambda scene: _write(scene.out / "preview.webp", b"<script>"),
        ),
        "set-user-ID file": (
            "invalid-output",
            "Leaves a picture that runs as the worker.",
            lambda scene: os.close(os.open(scene.out / "preview.webp", os.O_WRONLY | os.O_CREAT, 0o4755)),
        ),
        "hidden directory": (
            "invalid-output",
            "Leaves a directory that a render does not make.",
            lambda scene: _write(scene.out / ".git/config"),
        ),
        "closed directory": (
            "invalid-output",
            "Leaves a directory that nobody may list.",
            lambda scene: (scene.out / "layers").mkdir(mode=0),
        ),
        "closed file": (
            "invalid-output",
            "Leaves a file that nobody may read.",
            lambda scene: os.close(os.open(scene.out / "preview.webp", os.O_WRONLY | os.O_CREAT, 0)),
        ),
    },
) + fatal(
    "reports",
    {
        "flood of progress": ("quota-exceeded", "Reports progress without end.", _flood),
        "endless line": ("quota-exceeded", "Reports a line without end.", _endless_line),
        "forged engine error": (
            "engine-unavailable",
            "Reports that this machine is at fault, so that its job is repeated.",
            _forged_engine_error,
        ),
    },
)
