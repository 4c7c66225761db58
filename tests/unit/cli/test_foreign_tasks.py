"""A user's own tasks.py, web.py, workers.py or cli.py in the current directory must not replace our packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.embedded.programs import coalescer_program, scheduler_program, web_program, worker_program
from cli.foreign_tasks import ROOT, foreign_tasks, warning
from tasks.utils.python_path import safe_environment

NAMES = ("tasks", "workers", "web", "cli", "redis", "typer")
BULKHEAD = Path(sys.executable).with_name("bulkhead")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with modules that have the names of ours and of libraries, and fail when they are imported."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the user was imported')\n")
    return tmp_path


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    return subprocess.run(
        command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.skipif(not BULKHEAD.exists(), reason="the project is not installed in this environment")
def test_given_modules_of_the_user_when_bulkhead_is_started_then_it_imports_its_own(folder: Path) -> None:
    blueprint = folder / "a.svg"
    blueprint.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>')

    planned = run(folder, str(BULKHEAD), "plan", str(blueprint))

    assert (planned.returncode, planned.stderr) == (0, "")
    assert "svg" in planned.stdout


def test_given_modules_of_the_user_when_a_worker_is_started_then_it_imports_our_app(folder: Path) -> None:
    program = worker_program("render1", "render", "amqp://", {}, folder)
    python = program.command[: program.command.index("worker")]

    report = run(folder, *python, "report", **program.environment)

    assert (report.returncode, report.stderr) == (0, "")
    assert "task_queues" in report.stdout


def test_given_modules_of_the_user_when_a_render_starts_then_it_imports_our_engine(folder: Path) -> None:
    code = "import tasks, web, workers.render; print(tasks.__file__, web.__file__)"
    loaded = run(folder, sys.executable, "-P", "-c", code, **safe_environment({}))
    assert loaded.stdout.split() == [str(ROOT / "tasks/__init__.py"), str(ROOT / "web/__init__.py")], loaded.stderr


def test_given_any_program_of_ours_then_it_does_not_search_the_current_directory_first(tmp_path: Path) -> None:
    programs = [
        web_program("127.0.0.1", 80, {}, tmp_path),
        worker_program("render1", "render", "amqp://", {}, tmp_path),
        scheduler_program(tmp_path / "beat", {}, tmp_path),
        coalescer_program("coalescer", {"PYTHONPATH": "/opt/more"}, tmp_path),
    ]
    for program in programs:
        assert program.command[:3] == (sys.executable, "-P", "-m")
        assert program.environment["PYTHONSAFEPATH"] == "1"
        assert program.environment["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
    assert programs[-1].environment["PYTHONPATH"].endswith("/opt/more")


@pytest.mark.parametrize("app", [["-A", "tasks"], ["--app", "tasks"], ["--app=tasks"], ["-A", "tasks.application:app"]])
def test_given_somebody_elses_tasks_when_celery_starts_then_the_warning_names_it(app: list[str], folder: Path) -> None:
    assert foreign_tasks([*app, "worker"], folder) == folder / "tasks.py"
    assert str(folder / "tasks.py") in warning(folder / "tasks.py")


@pytest.mark.parametrize("arguments", [["-A", "shop", "worker"], ["worker", "-Q", "tasks"], ["--version"]])
def test_given_another_app_when_celery_starts_then_there_is_no_warning(arguments: list[str], folder: Path) -> None:
    assert foreign_tasks(arguments, folder) is None


def test_given_our_own_directory_when_celery_starts_then_there_is_no_warning(tmp_path: Path) -> None:
    assert foreign_tasks(["-A", "tasks", "worker"], ROOT) is None
    assert foreign_tasks(["-A", "tasks", "worker"], tmp_path) is None


def test_given_somebody_elses_tasks_when_celery_is_run_then_it_says_which_tasks_it_found(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("answer = 42\n")
    plugin = tmp_path / "plugin" / "bulkhead_check-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: bulkhead-check\nVersion: 1\n")
    (plugin / "entry_points.txt").write_text("[celery.commands]\ncheck = cli.foreign_tasks:command\n")
    path = os.pathsep.join([str(ROOT), str(plugin.parent)])

    answer = run(
        tmp_path, sys.executable, "-P", "-m", "celery", "-A", "tasks", "report", PYTHONPATH=path, PYTHONSAFEPATH="1"
    )

    assert answer.returncode != 0
    assert f"Celery imports {tmp_path / 'tasks.py'}, which is not Bulkhead's `tasks`" in answer.stderr
