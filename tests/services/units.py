"""Our units, installed in a private systemd and run by it, with a broker and a ledger outside of it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.services.platform import ROOT, Platform
from tests.services.private_systemd import PrivateSystemd, private_systemd

STATE = "/var/lib/bulkhead"
TREE = "/opt/tree"
DIRECTORY = "/srv/platform"


class Units:
    """The units of one host, which use the ledger and store of `platform`. `files` is the installation."""

    def __init__(self, systemd: PrivateSystemd, platform: Platform, files: Path) -> None:
        self.systemd = systemd
        self.platform = platform
        self.files = files

    def start(self, *units: str) -> None:
        """Start units and wait until they are ready. Raises AssertionError with their journals."""
        try:
            self.systemd.systemctl("start", *units)
        except AssertionError as error:
            journals = [f"--- {unit} ---\n{self.systemd.journal(unit)}" for unit in units]
            raise AssertionError("\n".join([str(error), *journals])) from error


def install(files: Path) -> None:
    """Install what `make install` does, except the virtual environment."""
    environment = {**os.environ, "DESTDIR": str(files)}
    subprocess.run(["sh", str(ROOT / "setup/install.sh"), "units"], check=True, env=environment)


@contextmanager
def running_units(
    home: Path, platform: Platform, *, settings: Mapping[str, str] = {}, drop_ins: Mapping[str, str] = {}
) -> Iterator[Units]:
    """A private systemd below `home` with our units, none of them started. `settings` override BULKHEAD_* variables.

    `drop_ins` (the name of a unit, or its prefix up to a dash -> text) change units as `systemctl edit` does. The
    platform's directory is mounted at DIRECTORY.
    """
    files, state = home / "install", home / "state"
    state.mkdir(parents=True)
    install(files)
    inside = {name: value.replace(str(platform.directory), DIRECTORY) for name, value in platform.environment.items()}
    inside.update(settings)
    del inside["BULKHEAD_VAR"]  # the units set it
    # The units' private directories hide the path of this tree that its virtual environment refers to.
    inside["PYTHONPATH"] = f"{TREE}:{TREE}/tests/system/storms"
    (files / "etc/bulkhead/bulkhead.env").write_text("".join(f"{key}={value}\n" for key, value in inside.items()))
    for unit, text in drop_ins.items():
        _drop_in(files, unit, text)
    _drop_in(files, "bulkhead-", f"[Service]\nReadWritePaths={DIRECTORY}\n")
    binds = {Path(sys.prefix): "/opt/bulkhead", ROOT: TREE, state: STATE, platform.directory: DIRECTORY}
    (home / "systemd").mkdir()
    with private_systemd(home / "systemd", files, binds) as systemd:
        systemd.run("chown", "-R", "bulkhead:", DIRECTORY)
        yield Units(systemd, platform, files)


def with_option(unit: str, option: str) -> str:
    """A drop-in that adds an option to the command of a unit."""
    lines = (ROOT / "systemd" / f"{unit}.service").read_text().splitlines()
    command = next(line for line in lines if line.startswith("ExecStart="))
    return f"[Service]\nExecStart=\n{command} {option}\n"


def _drop_in(files: Path, unit: str, text: str) -> None:
    folder = files / f"etc/systemd/system/{unit}.service.d"
    folder.mkdir(parents=True)
    # Of two drop-ins with the same name only the more specific one applies.
    (folder / f"{unit}.conf").write_text(text)
