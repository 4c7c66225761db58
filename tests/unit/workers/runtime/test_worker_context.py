"""The context of a worker child, and the files of killed children."""

import os
import subprocess
import sys
from pathlib import Path

from workers.runtime.worker_context import FOLDER

CREATE_TEMP_FILE = """
import tempfile, time
from workers.render.task import prepare_child
prepare_child()
file = tempfile.NamedTemporaryFile()
print(file.name, flush=True)
time.sleep(60)
"""

REMOVE_STALE = "from workers.runtime.worker_context import worker_context; worker_context().remove_stale_files()"


def test_given_a_killed_child_then_its_temporary_files_are_removed(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "BULKHEAD_VAR": str(tmp_path),
        "BULKHEAD_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "BULKHEAD_STORE_URL": str(tmp_path / "store"),
    }
    argv = [sys.executable, "-c", CREATE_TEMP_FILE]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        temporary = Path(child.stdout.readline().strip())
        assert temporary.exists()
        child.kill()
    assert temporary.exists()

    subprocess.run([sys.executable, "-c", REMOVE_STALE], env=environment, check=True)

    assert not temporary.exists()
    assert list((tmp_path / FOLDER).iterdir()) == []
