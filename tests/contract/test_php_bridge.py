"""The PHP bridge keeps to the contract: its own tests, its plugin's, and the vectors that they are held against."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.embedded.process import NotInstalled, find_program
from tests.conftest import skip_or_fail
from tests.contract.vectors import FOLDER, files

PARTS = [Path(__file__).resolve().parents[2] / "bridge" / name for name in ("php", "wordpress")]


@pytest.fixture
def phpunit() -> str:
    try:
        return find_program("phpunit", "phpunit", "leave the tests of the PHP bridge out")
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_given_the_bridge_then_its_own_tests_pass(phpunit: str, part: Path) -> None:
    done = subprocess.run([phpunit, "--no-interaction"], cwd=part, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stdout + done.stderr


def test_given_the_vectors_then_the_committed_ones_are_what_celery_writes() -> None:
    for path, text in files().items():
        assert path.read_text() == text, "Run `python -m tests.contract.vectors` and commit what it writes."


def test_given_the_vectors_then_two_hundred_requests_are_among_them_with_unicode_and_without_options() -> None:
    text = (FOLDER / "renders.json").read_text()

    assert text.count('"canonical"') == 200
    assert text.count('"options": {}, "traceparent"') >= 40  # in the request and in the message
    assert "水道管" in text


def test_given_every_file_of_the_bridge_then_php_can_read_it() -> None:
    php = shutil.which("php")
    if php is None:
        skip_or_fail(NotInstalled("php", "php-cli", "leave the tests of the PHP bridge out"))
    for path in sorted(path for part in PARTS for path in part.rglob("*.php")):
        done = subprocess.run([php, "-l", str(path)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout
