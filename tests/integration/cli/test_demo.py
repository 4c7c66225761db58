"""`make demo` from an empty directory, without its set-up."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.embedded.orphans import kill_orphans

pytestmark = [pytest.mark.service, pytest.mark.timeout(180), pytest.mark.usefixtures("session_broker")]

ROOT = Path(__file__).resolve().parents[3]


def test_given_an_empty_directory_when_the_demo_runs_then_its_outputs_are_at_the_printed_paths(
    tmp_path: Path,
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BULKHEAD_")}

    demo = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    told = dict(re.findall(r"^  (preview|layers|manifest|status|viewer) +(\S+)", demo.stdout, re.MULTILINE))
    manifest = json.loads((tmp_path / told["manifest"]).read_text())
    drawn = {layer["file"] for layer in manifest["layers"] if layer["file"]}
    assert len(drawn) >= 12
    assert {f"layers/{file.name}" for file in (tmp_path / told["layers"]).iterdir()} == drawn
    assert (tmp_path / told["preview"]).stat().st_size == manifest["preview"]["bytes"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/renders/[0-9a-f-]{36}", told["status"])
    assert told["viewer"] == f"http://127.0.0.1:8080/#/drawing/{told['status'][-36:]}"
    assert "succeeded" in demo.stderr
    assert kill_orphans(tmp_path / "var" / "log") == []
