"""Reading systemd's credentials: one file for each variable, in $CREDENTIALS_DIRECTORY (systemd.exec(5))."""

import os
from collections.abc import Iterable
from pathlib import Path


def read_credentials(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """The values of the variables `names` that have a file, such as `BULKHEAD_PORT` for `BULKHEAD_` and `port`.

    An empty file counts as unset: units pass an empty credential in place of an optional file that does not exist.
    Raises OSError if a file cannot be read.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return {}
    files = {name: Path(directory, f"{prefix}{name}".upper()) for name in names}
    values = {name: file.read_text(encoding="utf-8").strip() for name, file in files.items() if file.exists()}
    return {name: value for name, value in values.items() if value}
