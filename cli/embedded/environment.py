"""`var/bulkhead.env`: what the private platform tells `tasks.settings`, and so every other command."""

from collections.abc import Mapping
from pathlib import Path

from cli.embedded.files import write_private

HEADER = "# Written by `bulkhead up`. Lines that you add are kept.\n"


def update_environment_file(path: Path, values: Mapping[str, str | None]) -> None:
    """Set `values` in the environment file `path` (made if missing, mode 0600); other lines stay as they are.

    The line of a value that is None goes.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else [HEADER]
    kept = [line for line in lines if line.partition("=")[0].strip() not in values]
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    write_private(path, "".join([*kept, *(f"{key}={value}\n" for key, value in values.items() if value is not None)]))


def read_environment_file(path: Path) -> dict[str, str]:
    """The variables in the environment file `path`; none where there is no such file."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}
