"""Every benchmark starts as a module and as a file: its folder must not hide the packages `leaks` and `web`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("leaks", "web")  # named like packages


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("as_file", [True, False])
def test_given_a_benchmark_named_like_a_package_when_it_is_started_then_it_finds_the_package(
    name: str, as_file: bool
) -> None:
    command = [str(ROOT / f"benchmarks/{name}.py")] if as_file else ["-m", f"benchmarks.{name}"]
    answer = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("usage:")


def test_given_the_folder_of_benchmarks_then_every_file_is_a_script() -> None:
    scripts = sorted((ROOT / "benchmarks").glob("*.py"))
    assert len(scripts) <= 15
    assert all("argparse" in script.read_text() or script.stem == "capacity" for script in scripts)
