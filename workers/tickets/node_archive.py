"""Packs the program of a node into one file: a zip archive that Python runs (zipapp). The same source always gives the
same bytes.
"""

from importlib import import_module, resources
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

SHEBANG = b"#!/usr/bin/python3 -IS\n"  # ignores the caller's environment and site-packages
EMPTY_MODULES = ("tasks/__init__.py", "tasks/utils/__init__.py", "workers/__init__.py")
MODULES = {
    "tasks": ("errors", "utils/files"),
    "workers.tickets": (
        "__init__",
        "keyring",
        "node/__init__",
        "node/harden",
        "node/haproxy",
        "node/state",
        "node/server",
    ),
}
MAIN = "import sys\n\nfrom workers.tickets.node.server import main\n\nsys.exit(main())\n"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_archive() -> bytes:
    """The bytes of the executable file."""
    texts = {"__main__.py": MAIN, **dict.fromkeys(EMPTY_MODULES, "")}
    for package, names in MODULES.items():
        folder = resources.files(import_module(package))
        for name in names:
            path = f"{package.replace('.', '/')}/{name}.py"
            texts[path] = folder.joinpath(f"{name}.py").read_text(encoding="utf-8")
    archive = BytesIO()
    with ZipFile(archive, "w") as output:
        for path, text in texts.items():
            output.writestr(ZipInfo(path, ZIP_EPOCH), text, compress_type=ZIP_DEFLATED)
    return SHEBANG + archive.getvalue()
