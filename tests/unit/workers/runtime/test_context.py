"""What a worker child works with, and what it leaves."""

import os
import subprocess
import sys
from pathlib import Path

from workers.runtime.context import FOLDER

PUT_ASIDE = """
import tempfile, time
from workers.render.task import prepare_child
prepare_child()
file = tempfile.NamedTemporaryFile()
print(file.name, flush=True)
time.sleep(60)
"""

SWEEP = "from workers.runtime.context import bench; bench().sweep()"


def test_given_a_child_that_is_killed_then_what_it_had_put_aside_is_swept(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "BULKHEAD_VAR": str(tmp_path),
        "BULKHEAD_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db",
        "BULKHEAD_STORE_URL": str(tmp_path / "store"),
    }
    argv = [sys.executable, "-c", PUT_ASIDE]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        aside = Path(child.stdout.readline().strip())
        assert aside.exists()
        child.kill()
    assert aside.exists()

    subprocess.run([sys.executable, "-c", SWEEP], env=environment, check=True)

    assert not aside.exists()
    assert list((tmp_path / FOLDER).iterdir()) == []
