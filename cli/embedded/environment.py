"""`var/bulkhead.env`: the settings of the embedded platform, which `tasks.settings` reads in every other command."""

from collections.abc import Mapping
from pathlib import Path

from tasks.utils.files import write_atomically

HEADER = "# Written by `bulkhead up`. Lines that you add are preserved.\n"


def update_environment_file(path: Path, values: Mapping[str, str | None]) -> None:
    """Set `values` in the environment file `path` (created if missing, mode 0600). Other lines are not changed.

    A value of None removes its line.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else [HEADER]
    others = [line for line in lines if line.partition("=")[0].strip() not in values]
    if others and not others[-1].endswith("\n"):
        others[-1] += "\n"
    added = [f"{key}={value}\n" for key, value in values.items() if value is not None]
    write_atomically(path, "".join([*others, *added]))


def read_environment_file(path: Path) -> dict[str, str]:
    """The variables in the environment file `path`; empty if there is no such file."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}
