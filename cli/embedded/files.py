"""Files that only their owner may read."""

import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700


def make_private_directory(path: Path) -> Path:
    """Make the directory `path`, readable by its owner only. Returns its absolute path."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(PRIVATE_DIRECTORY)
    return path.resolve()


def write_private(path: Path, text: str) -> None:
    """Replace the file `path` at once; nobody else can read it, not even while it is written."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
