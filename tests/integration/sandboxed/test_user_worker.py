"""A user's own Celery worker with a real RabbitMQ: what sandboxed tasks can do, cannot do, and how they die."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError, TimeLimitExceeded

from cli.embedded.process import Process, Program
from tests.conftest import Broker
from tests.services.platform import ROOT
from workers.sandbox.task import SandboxedProcessDied, SandboxedProcessInterrupted, SandboxedTaskError

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

MODULE = "user_app"
CANARY = "hunter2-of-the-broker"
TIMEOUT = 60


class Worker:
    """The worker of a user, in a directory with a copy of the app."""

    def __init__(self, folder: Path, broker_url: str, *options: str) -> None:
        self.folder = folder
        self.files = folder / "files"
        (self.files / "out").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("user_app.py"), folder)
        (folder / "needs_environment.py").write_text("import os\nos.environ['DATABASE_URL']\n")
        self.app = Celery(MODULE, broker=broker_url, backend="rpc://", set_as_current=False)
        self.app.conf.task_default_queue = folder.name
        self.environment = {
            "PYTHONPATH": str(ROOT),
            "BROKER_URL": broker_url,
            "PASSWORD": CANARY,
            "FILES": str(self.files),
        }
        name = folder.name
        worker = ("-m", "celery", "-A", MODULE, "worker", "-c", "1", "-Q", name, "-n", f"{name}@%h", "-l", "INFO")
        program = Program(
            name="user",
            command=(sys.executable, *worker, "--without-mingle", *options),
            is_ready=lambda: "ready." in self.log,
            environment=self.environment,
            directory=folder,
        )
        self.process = Process(program, folder / "log")

    @property
    def log(self) -> str:
        return self.process.log.read_text() if self.process.log.exists() else ""

    def send(self, task: str, *arguments: Any, **options: Any) -> Any:
        """Call a task, without the user's module."""
        return self.app.send_task(f"{MODULE}.{task}", arguments, **options)

    def call(self, task: str, *arguments: Any, **options: Any) -> Any:
        return self.send(task, *arguments, **options).get(timeout=TIMEOUT)

    def stop(self) -> None:
        self.process.stop()
        self.app.backend.result_consumer.stop()
        self.app.close()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def zygote(self) -> psutil.Process:
        (zygote,) = (child for child in self.children() if _is_zygote(child) and not _is_zygote(child.parent()))
        return zygote


def _is_zygote(process: psutil.Process | None) -> bool:
    try:
        return process is not None and "workers.sandbox.zygote.process" in process.cmdline()
    except psutil.Error:  # it has ended
        return False


def eventually(condition: Callable[[], bool], timeout: float = 15) -> bool:
    deadline = time.monotonic() + timeout
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return true


@pytest.fixture(scope="module")
def worker(session_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("user"), session_broker.url)
    worker.process.start()
    try:
        worker.process.wait_ready()
        yield worker
    finally:
        worker.stop()
        print(worker.log[-4000:])


@pytest.mark.parametrize(
    ("attack", "target"),
    [
        ("read", "/proc/{worker}/environ"),
        ("read", "/etc/passwd"),
        ("read", "{files}/secret"),
        ("list", "{files}"),
        ("connect", "{port}"),
        ("execute", "/bin/true"),
    ],
)
def test_given_a_sandboxed_task_then_it_can_reach_nothing(
    worker: Worker, session_broker: Broker, attack: str, target: str
) -> None:
    port = urlsplit(session_broker.url).port
    (worker.files / "secret").write_text(CANARY)
    place = target.format(worker=worker.process.pid, files=worker.files, port=port)
    with pytest.raises(SandboxedTaskError) as raised:
        worker.call("attack", attack, place)
    assert raised.value.type == "PermissionError"


def test_given_the_secrets_of_the_worker_then_the_function_and_its_module_do_not_have_them(worker: Worker) -> None:
    password, environment = worker.call("attack", "see its environment")
    assert password is None
    assert not {"BROKER_URL", "PASSWORD", "FILES"} & set(environment)
    assert CANARY not in str(environment)


@pytest.mark.parametrize(
    ("how", "cause", "story"),
    [
        ("crash", "native-crash", "The process crashed in native code with SIGSEGV."),
        ("memory", "out-of-memory", "memory limit. The task user_app.die had run for"),
        ("loop", "time-limit", "its time limit of 1 s of processor time"),
        ("hang", "hung", "it neither computed nor made progress for 1 s"),
        ("disk", "quota-exceeded", "The process w"),
    ],
)
def test_given_a_task_that_dies_then_its_caller_has_the_story_and_the_worker_lives(
    worker: Worker, how: str, cause: str, story: str
) -> None:
    before = [child.pid for child in worker.children() if not _is_zygote(child)]
    result = worker.send("die", how)
    with pytest.raises(SandboxedProcessDied) as raised:
        result.get(timeout=TIMEOUT)
    assert (result.state, raised.value.cause) == ("FAILURE", cause)
    assert story in raised.value.explanation
    assert "MiB of 128 MiB." in raised.value.explanation
    assert [child.pid for child in worker.children() if not _is_zygote(child)] == before
    assert worker.call("pid") > 0


def test_given_a_process_that_is_killed_from_outside_then_the_task_is_retried(worker: Worker) -> None:
    result = worker.send("retried")
    for _attempt in range(3):
        assert eventually(lambda: _bodies(worker) != set())
        for pid in _bodies(worker):
            os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: _bodies(worker) == set())
    with pytest.raises(SandboxedProcessInterrupted, match="killed from outside with SIGKILL"):
        result.get(timeout=TIMEOUT)
    assert worker.log.count("Retry in 0s") == 2


def test_given_a_function_that_raises_then_its_caller_has_name_message_and_traceback(worker: Worker) -> None:
    with pytest.raises(SandboxedTaskError) as raised:
        worker.call("fail")
    assert (raised.value.type, raised.value.message) == ("LookupError", "no such layer")
    assert 'raise LookupError("no such layer")' in raised.value.text


def test_given_a_module_that_needs_the_environment_then_the_error_says_which_variable(worker: Worker) -> None:
    with pytest.raises(SandboxedTaskError, match="KeyError: 'DATABASE_URL'"):
        worker.call("misconfigured")


def test_given_outputs_then_they_are_in_the_directory_of_the_task_and_nothing_else_is_left(worker: Worker) -> None:
    source = worker.files / "source"
    source.write_bytes(b"abc")
    result = worker.send("reverse", str(source))
    assert result.get(timeout=TIMEOUT) == 3
    assert (worker.files / "out" / result.id / "pages/reversed").read_bytes() == b"cba"
    assert [path.name for path in (worker.files / "out" / result.id).iterdir()] == ["pages"]
    assert not list((worker.files / "out").glob(".*"))


def test_given_a_source_outside_of_its_directory_then_it_is_refused(worker: Worker) -> None:
    with pytest.raises(Exception, match="The source /etc/passwd is not below"):
        worker.call("reverse", "/etc/passwd")


def test_given_a_function_that_links_a_file_of_the_worker_then_nothing_is_published(worker: Worker) -> None:
    (worker.files / "secret").write_text(CANARY)
    result = worker.send("link", str(worker.files / "secret"))
    with pytest.raises(SandboxedTaskError):
        result.get(timeout=TIMEOUT)
    assert not (worker.files / "out" / result.id).exists()


def test_given_a_program_then_its_output_is_the_result_and_its_error_is_told(worker: Worker) -> None:
    if shutil.which("php"):
        assert worker.call("php", "a b {c}") == "}c{ b a"
    with pytest.raises(SandboxedTaskError) as raised:
        worker.call("program_fails")
    assert (raised.value.message, raised.value.text) == ("sh ended with exit code 3.", "damaged\n")


def test_given_a_killed_zygote_then_the_next_call_has_a_new_one(worker: Worker) -> None:
    killed = worker.zygote()
    killed.send_signal(signal.SIGKILL)
    assert worker.call("pid") > 0
    assert worker.zygote().pid != killed.pid


@pytest.mark.parametrize("ended_by", ["revoke", "time limit"])
def test_given_a_task_that_celery_ends_then_its_process_is_gone(worker: Worker, ended_by: str) -> None:
    limit = {"time_limit": 3} if ended_by == "time limit" else {}
    result = worker.send("wait", **limit)
    assert eventually(lambda: _bodies(worker) != set())
    running = _bodies(worker)
    if ended_by == "revoke":
        result.revoke(terminate=True, signal="SIGKILL")
    with pytest.raises((TaskRevokedError, TimeLimitExceeded)):
        result.get(timeout=TIMEOUT)
    assert eventually(lambda: not running & _bodies(worker))
    assert worker.call("pid") > 0


def _bodies(worker: Worker) -> set[int]:
    """Processes of the zygote that run a task: the spare shares the directory of the zygote."""
    found = set()
    for child in worker.zygote().children():
        try:
            if ".sandboxed-task-" in child.cwd():
                found.add(child.pid)
        except psutil.Error:
            continue
    return found


def test_given_another_pool_then_the_worker_refuses_to_start(session_broker: Broker, tmp_path: Path) -> None:
    worker = Worker(tmp_path, session_broker.url, "--pool", "threads")
    worker.process.start()
    assert eventually(lambda: bool(worker.process.describe_exit()), TIMEOUT)
    assert "Sandboxed tasks do not run in the pool thread. Start the worker with --pool prefork." in worker.log


def test_given_the_solo_pool_then_the_worker_process_has_its_own_zygote(session_broker: Broker, tmp_path: Path) -> None:
    worker = Worker(tmp_path, session_broker.url, "--pool", "solo")
    worker.process.start()
    try:
        worker.process.wait_ready()
        assert worker.call("pid") > 0
        assert worker.zygote().ppid() == worker.process.pid
    finally:
        worker.stop()
