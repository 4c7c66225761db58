"""The PHP client and the WordPress plugin: their unit tests and the test vectors of the messages."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.embedded.process import NotInstalled, find_program
from tests.conftest import skip_or_fail
from tests.contract.vectors import FOLDER, files

PACKAGES = [Path(__file__).resolve().parents[2] / "bridge" / name for name in ("php", "wordpress")]


@pytest.fixture
def phpunit() -> str:
    try:
        return find_program("phpunit", "phpunit", "skip the tests of the PHP client")
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_given_a_php_package_then_its_unit_tests_pass(phpunit: str, package: Path) -> None:
    result = subprocess.run([phpunit, "--no-interaction"], cwd=package, capture_output=True, text=True, timeout=100)

    assert result.returncode == 0, result.stdout + result.stderr


def test_given_the_test_vectors_then_they_equal_what_celery_writes() -> None:
    for path, text in files().items():
        assert path.read_text() == text, "Run `python -m tests.contract.vectors` and commit the files."


def test_given_the_test_vectors_then_they_contain_unicode_and_requests_without_options() -> None:
    text = (FOLDER / "renders.json").read_text()

    assert text.count('"canonical"') == 200
    assert text.count('"options": {}, "traceparent"') >= 40  # in the request and in the message
    assert "水道管" in text


def test_given_the_php_files_then_their_syntax_is_valid() -> None:
    php = shutil.which("php")
    if php is None:
        skip_or_fail(NotInstalled("php", "php-cli", "skip the tests of the PHP client"))
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.php")):
        result = subprocess.run([php, "-l", str(path)], capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, result.stdout
