"""Options and errors of sandboxed tasks, without a worker."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from workers.sandbox.causes import Cause
from workers.sandbox.task import SandboxedProcessDied, SandboxedProcessInterrupted, SandboxedTask, SandboxedTaskError
from workers.sandbox.task.base import build_command, parse_size
from workers.sandbox.task.files import InvalidOutput, InvalidSource, check_source, publish_outputs, working_directory


@pytest.fixture
def app() -> Celery:
    return Celery("unit", broker="memory://", set_as_current=False)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(4096, 4096), ("512M", 512 * 2**20), ("1.5G", 1536 * 2**20), ("64 KiB", 65536), ("100", 100), ("2gb", 2 * 2**30)],
)
def test_given_a_size_then_it_is_parsed_in_binary_units(size: int | str, expected: int) -> None:
    assert parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "much", "-1M", "5T"])
def test_given_no_size_then_the_error_shows_one(size: str) -> None:
    with pytest.raises(ValueError, match="Write it as 512M"):
        parse_size(size)


def test_given_an_argument_with_spaces_then_it_stays_one_argument() -> None:
    command = build_command(["sh", "x.sh", "{path}", "--size={path}"], {"path": "a b; rm -rf $HOME"})
    assert command[1:] == ("x.sh", "a b; rm -rf $HOME", "--size={path}")
    assert Path(command[0]).is_absolute()


def test_given_bind_then_the_task_is_refused(app: Celery) -> None:
    with pytest.raises(TypeError, match="without `bind=True`"):
        app.task(base=SandboxedTask, bind=True, lazy=False, shared=False)(_bound)


def test_given_a_function_that_cannot_be_imported_then_the_task_is_refused(app: Celery) -> None:
    def local() -> None: ...

    with pytest.raises(TypeError, match=r"Move .*local to the top level of a module"):
        app.task(base=SandboxedTask, lazy=False, shared=False)(local)


def test_given_sources_that_the_function_does_not_take_then_the_task_is_refused(app: Celery) -> None:
    with pytest.raises(TypeError, match=r"`sources` names \['path'\]"):
        app.task(base=SandboxedTask, sources=["path"], lazy=False, shared=False)(_function)


@pytest.mark.parametrize(
    "error",
    [
        SandboxedTaskError("KeyError", "'x'", "Traceback"),
        SandboxedProcessDied("native-crash", "It crashed."),
        SandboxedProcessInterrupted("killed", "It was killed."),
    ],
)
def test_given_an_error_then_result_backends_can_store_it(error: Exception) -> None:
    for copy in (pickle.loads(pickle.dumps(error)), type(error)(*json.loads(json.dumps(error.args)))):  # noqa: S301
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_given_a_cause_then_it_is_compared_as_one() -> None:
    assert SandboxedProcessDied("out-of-memory", "").cause is Cause.OUT_OF_MEMORY


def test_given_a_source_below_another_directory_then_it_is_refused_through_a_link_as_well(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "files/link").symlink_to(tmp_path / "secret")
    for path in (tmp_path / "secret", tmp_path / "files/link", tmp_path / "files/../secret", tmp_path / "files"):
        with pytest.raises(InvalidSource):
            check_source(str(path), tmp_path / "files")


def test_given_outputs_then_an_earlier_attempt_is_replaced_and_set_user_id_bits_are_gone(tmp_path: Path) -> None:
    target = tmp_path / "id"
    for text in ("old", "new"):
        with working_directory(tmp_path) as work:
            (work / "tmp").mkdir()
            (work / text).write_text(text)
            (work / text).chmod(0o4777)
            publish_outputs(work, target)
    assert [(path.name, oct(path.stat().st_mode)) for path in target.iterdir()] == [("new", "0o100644")]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["link", "hard link", "directory link", "pipe"])
def test_given_an_output_that_is_no_regular_file_then_nothing_is_published(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("x")
    with working_directory(tmp_path) as work:
        _leave(work / "output", kind, tmp_path / "secret")
        with pytest.raises(InvalidOutput):
            publish_outputs(work, tmp_path / "id")
    assert not (tmp_path / "id").exists()


def test_given_the_directory_of_a_dead_process_then_the_next_call_removes_it(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with working_directory(tmp_path):
            os._exit(0)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 1
    with working_directory(tmp_path) as work:
        assert list(tmp_path.iterdir()) == [work]


def _leave(path: Path, kind: str, target: Path) -> None:
    make: dict[str, Any] = {
        "link": lambda: path.symlink_to(target),
        "hard link": lambda: path.hardlink_to(target),
        "directory link": lambda: path.symlink_to(target.parent),
        "pipe": lambda: os.mkfifo(path),
    }
    make[kind]()


def _function() -> None: ...


def _bound(_self: object) -> None: ...
