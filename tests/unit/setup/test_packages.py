"""The lists of Debian packages, and the script that installs them."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LISTS = ROOT / "setup/packages"
NAMES = ("run", "viewer", "test", "machine")


def packages(name: str) -> list[str]:
    """The packages of a list."""
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if not line.startswith("#")]


def documented(name: str) -> list[str]:
    """The packages that the section of a list in docs/operations/install.md explains."""
    _before, _heading, rest = (ROOT / "docs/operations/install.md").read_text().partition(f"### `{name}`: ")
    rows = [line for line in re.split(r"\n#+ ", rest)[0].splitlines() if line.startswith("| `")]
    return [package for row in rows for package in re.findall(r"`([^`]+)`", row.split("|")[1])]


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and errors of packages.sh."""
    done = subprocess.run(
        ["sh", str(ROOT / "setup/packages.sh"), *arguments], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


def test_given_the_lists_then_there_are_four_and_no_package_is_in_two_of_them() -> None:
    assert {path.stem for path in LISTS.iterdir()} == set(NAMES)
    names = [package for name in NAMES for package in packages(name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_given_a_list_then_the_page_explains_each_of_its_packages_and_no_other(name: str) -> None:
    assert packages(name)
    assert sorted(documented(name)) == sorted(packages(name))


@pytest.mark.parametrize("name", NAMES)
def test_given_a_list_then_each_line_says_why_the_package_is_needed(name: str) -> None:
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    assert lines[0].startswith("# ")
    for line in lines[1:]:
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+ +# .+", line), line


def test_given_the_list_for_running_then_it_has_no_compiler_browser_or_database() -> None:
    assert not {"gcc", "valgrind", "chromium", "wordpress", "prometheus", "mariadb-server"} & set(packages("run"))


def test_given_no_list_when_the_script_runs_then_it_prints_its_usage() -> None:
    code, said = run()
    assert code == 2
    assert said.startswith("Installs the Debian packages of the named lists")
    assert "setup/packages.sh LIST..." in said


def test_given_an_unknown_list_when_the_script_runs_then_it_names_the_list() -> None:
    assert run("run", "everything") == (2, "There is no list setup/packages/everything.txt.\n")


@pytest.mark.parametrize(
    ("goals", "lists"),
    [
        (["demo"], "run"),
        (["up"], "run"),
        (["install"], "run"),
        (["lint"], "run viewer test"),
        (["bench"], "run viewer test"),
        (["machine"], "run machine"),
        (["demo", "lint"], "run viewer test"),
    ],
)
def test_given_a_target_when_make_runs_then_it_installs_only_the_lists_that_the_target_needs(
    goals: list[str], lists: str
) -> None:
    command = ["make", "--dry-run", "--old-file=web/viewer/dist/index.html", *goals]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    called = [line.split() for line in done.stdout.splitlines() if "setup/packages.sh" in line and "&&" not in line]
    assert called == [["sh", "setup/packages.sh", *lists.split()]]
