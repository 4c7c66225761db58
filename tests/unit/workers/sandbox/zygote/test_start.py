"""Zygotes that cannot start: who asks for a process is told why, at once."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kombu.asynchronous import Hub

from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.runner import Outcome, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote, ZygoteOptions
from workers.sandbox.zygote.keeper import ZygoteKeeper

BODY = "tests.unit.workers.sandbox.zygote.test_start:body"
LIMITS = Limits(memory=256 * 1024**2, cpu=10)

# Far less than the time in which a zygote that starts must fork.
AT_ONCE = 10.0


def body(_arguments: object, _report: object) -> dict[str, int]:
    return {"pid": os.getpid()}


@contextmanager
def zygote_with(*preload: str) -> Iterator[Zygote]:
    zygote = Zygote(ZygoteOptions(preload=preload, functions=(BODY,)))
    try:
        yield zygote
    finally:
        zygote.close()


def call(zygote: Zygote, work: Path) -> Outcome:
    return run(zygote, SandboxJob(BODY, {}, work=work), LIMITS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", "could not load loaded_by_zygote: SyntaxError: invalid syntax"),
        ("import ctypes\nctypes.CDLL('libnosuch.so.1')\n", "OSError: libnosuch.so.1: cannot open shared object file"),
        ("import os\nos.abort()\n", "The sandbox did not start (signal 6)."),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n", "one thread"),
    ],
)
def test_given_code_that_cannot_be_loaded_then_the_request_fails_at_once_with_the_reason(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_by_zygote.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    started = time.monotonic()
    with zygote_with("loaded_by_zygote") as zygote, pytest.raises(SandboxUnavailable) as raised:
        call(zygote, tmp_path)
    assert time.monotonic() - started < AT_ONCE
    assert said in raised.value.message
    assert raised.value.message.endswith("Correct that, or run `bulkhead doctor`.")


def test_given_a_function_that_cannot_be_loaded_then_the_zygote_starts_without_it(tmp_path: Path) -> None:
    zygote = Zygote(ZygoteOptions(functions=("nosuch:function", BODY)))
    try:
        assert call(zygote, tmp_path).value()["pid"] > 0
    finally:
        zygote.close()


def test_given_the_cause_is_corrected_then_the_next_request_starts_the_zygote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "corrected_later.py"
    module.write_text("raise OSError\n")
    monkeypatch.syspath_prepend(tmp_path)
    with zygote_with("corrected_later") as zygote:
        with pytest.raises(SandboxUnavailable):
            call(zygote, tmp_path)
        module.write_text("corrected = True\n")
        assert call(zygote, tmp_path).value()["pid"] > 0


def test_given_a_worker_whose_zygote_cannot_start_then_its_children_are_told_and_the_log_has_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub()
    with zygote_with("nosuch") as zygote, caplog.at_level(logging.ERROR):
        ZygoteKeeper(zygote, hub).watch()
        children = [_fork_caller(zygote, tmp_path) for _ in range(3)]
        ends = _poll_until_ended(hub, children)
        time.sleep(1.2)  # the zygote is tried again meanwhile
        ends += _poll_until_ended(hub, [_fork_caller(zygote, tmp_path)])
    hub.close()
    assert ends == [0, 0, 0, 0]
    assert [record.message.count("No module named 'nosuch'") for record in caplog.records] == [1]


def _fork_caller(zygote: Zygote, work: Path) -> int:
    """A child that inherited the zygote. It ends with 0 if it is told why there is none."""
    child = os.fork()
    if child == 0:
        try:
            call(zygote, work)
        except SandboxUnavailable as error:
            os._exit(0 if "nosuch" in error.message else 2)
        finally:
            os._exit(1)
    return child


def _poll_until_ended(hub: Hub, children: list[int]) -> list[int]:
    ends: list[int] = []
    deadline = time.monotonic() + AT_ONCE
    while children and time.monotonic() < deadline:
        hub.run_once()
        for child in children[:]:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                children.remove(child)
                ends.append(os.waitstatus_to_exitcode(status))
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return ends
