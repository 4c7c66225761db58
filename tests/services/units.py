"""Our units, installed in a private systemd, with a broker and a ledger outside."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.services.platform import ROOT, Platform
from tests.services.private_systemd import PrivateSystemd, private_systemd

STATE = "/var/lib/bulkhead"
CREDENTIALS = "etc/bulkhead/credentials"
TREE = "/opt/tree"
DIRECTORY = "/srv/platform"


class Units:
    """The units of one host with the ledger and store of `platform`. `files` has the installed files."""

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
    """Install the files of `make install` without the virtual environment."""
    environment = {**os.environ, "DESTDIR": str(files)}
    subprocess.run(["sh", str(ROOT / "setup/install.sh"), "units"], check=True, env=environment)


@contextmanager
def running_units(
    home: Path, platform: Platform, *, settings: Mapping[str, str] = {}, drop_ins: Mapping[str, str] = {}
) -> Iterator[Units]:
    """A private systemd below `home` with our units, none of them started. `settings` override BULKHEAD_*.

    `drop_ins` (name or prefix of a unit -> text) change units like `systemctl edit`. The directory of the platform is
    mounted as DIRECTORY.
    """
    files, state = home / "install", home / "state"
    state.mkdir(parents=True)
    install(files)
    environment_inside = {
        name: value.replace(str(platform.directory), DIRECTORY) for name, value in platform.environment.items()
    }
    environment_inside.update(settings)
    del environment_inside["BULKHEAD_VAR"]  # the units set it
    # The units hide the path of this tree, which the virtual environment refers to, so it is mounted elsewhere.
    environment_inside["PYTHONPATH"] = f"{TREE}:{TREE}/tests/system/storms"
    secrets = secret_names() & environment_inside.keys()
    for name in secrets:
        (files / CREDENTIALS / name).write_text(environment_inside.pop(name))
    (files / "etc/bulkhead/bulkhead.env").write_text(
        "".join(f"{key}={value}\n" for key, value in environment_inside.items())
    )
    for unit, text in drop_ins.items():
        _drop_in(files, unit, text)
    _drop_in(files, "bulkhead-", f"[Service]\nReadWritePaths={DIRECTORY}\n")
    binds = {Path(sys.prefix): "/opt/bulkhead", ROOT: TREE, state: STATE, platform.directory: DIRECTORY}
    (home / "systemd").mkdir()
    with private_systemd(home / "systemd", files, binds) as systemd:
        systemd.run("chown", "-R", "bulkhead:bulkhead", DIRECTORY)
        systemd.run("chmod", "-R", "g+rwX", DIRECTORY)
        systemd.run("find", DIRECTORY, "-type", "d", "-exec", "chmod", "g+s", "{}", "+")
        yield Units(systemd, platform, files)


def loaded_credentials() -> dict[str, set[str]]:
    """The secrets that each service loads, by its name without suffix."""
    return {
        path.stem: set(re.findall(r"^LoadCredential=(\w+):", path.read_text(), re.MULTILINE))
        for path in (ROOT / "systemd").glob("*.service")
    }


def secret_names() -> set[str]:
    """The names of all secrets that units load."""
    return set().union(*loaded_credentials().values())


def with_option(unit: str, option: str) -> str:
    """A drop-in that adds an option to the command of a unit."""
    lines = (ROOT / "systemd" / f"{unit}.service").read_text().splitlines()
    command = next(line for line in lines if line.startswith("ExecStart="))
    return f"[Service]\nExecStart=\n{command} {option}\n"


def _drop_in(files: Path, unit: str, text: str) -> None:
    folder = files / f"etc/systemd/system/{unit}.service.d"
    folder.mkdir(parents=True)
    # Named after the unit: of drop-ins with equal names systemd uses only the most specific one.
    (folder / f"{unit}.conf").write_text(text)
