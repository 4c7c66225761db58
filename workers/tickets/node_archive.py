"""The program of a node as one file: a zip archive that Python runs (zipapp). It is the same, byte for byte, each time
it is made from the same source.
"""

from importlib import import_module, resources
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

SHEBANG = b"#!/usr/bin/python3 -IS\n"  # nothing of the caller's environment, no site-packages
MODULES = ("__init__", "keyring", "node/__init__", "node/harden", "node/haproxy", "node/state", "node/server")
MAIN = "import sys\n\nfrom workers.tickets.node.server import main\n\nsys.exit(main())\n"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_archive() -> bytes:
    """The bytes of the executable file."""
    here = resources.files(import_module("workers.tickets"))
    texts = {"__main__.py": MAIN, "workers/__init__.py": ""}
    for name in MODULES:
        texts[f"workers/tickets/{name}.py"] = here.joinpath(f"{name}.py").read_text(encoding="utf-8")
    archive = BytesIO()
    with ZipFile(archive, "w") as out:
        for path, text in texts.items():
            out.writestr(ZipInfo(path, ZIP_EPOCH), text, compress_type=ZIP_DEFLATED)
    return SHEBANG + archive.getvalue()
