import os
import socket
from pathlib import Path

import pytest

from cli.commands import up as module
from cli.commands.up import (
    AlreadyRunning,
    PortInUse,
    assign_queues,
    check_broker,
    format_summary,
    hold_instance_lock,
    run_platform,
)
from cli.embedded.programs import web_url
from tasks.errors import ServiceUnavailable
from tasks.settings import Settings, settings


def test_given_a_running_instance_when_another_starts_then_the_error_says_how_to_stop_it(tmp_path: Path) -> None:
    with hold_instance_lock(tmp_path), pytest.raises(AlreadyRunning) as refusal, hold_instance_lock(tmp_path):
        pass

    assert str(refusal.value) == (
        f"bulkhead up is already running in {tmp_path} (process {os.getpid()}). "
        f"Stop it with `kill {os.getpid()}`, or set BULKHEAD_VAR to another directory."
    )


def test_given_an_instance_that_stopped_when_another_starts_then_it_gets_the_lock(tmp_path: Path) -> None:
    with hold_instance_lock(tmp_path):
        pass
    with hold_instance_lock(tmp_path):
        assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


def test_given_two_previews_then_each_worker_has_one_queue_and_a_large_worker_exists_if_configured() -> None:
    workers = {"render1": "render", "render2": "render", "tiles1": "render.tiles"}

    assert assign_queues(Settings(), 2, 1) == workers
    assert assign_queues(Settings(large_memory_limit=2 << 30), 2, 1) == {**workers, "large1": "render.large"}


def test_given_settings_that_the_user_added_to_the_environment_file_then_up_applies_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bulkhead.env").write_text(f"BULKHEAD_LARGE_MEMORY_LIMIT={2 << 30}\nBULKHEAD_PORT=8081\n")
    monkeypatch.setenv("BULKHEAD_VAR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.setattr(module, "prepare_services", lambda _var, **_asked: [])
    monkeypatch.setattr(module, "give_up_rights", lambda _var: None)  # they are those of all tests
    served: list[tuple[int, list[str]]] = []
    monkeypatch.setattr(
        module, "run_platform", lambda _stages, chosen, _var, workers: served.append((chosen.port, [*workers]))
    )
    settings.cache_clear()

    module.up(workers=1)

    settings.cache_clear()
    assert served == [(8081, ["render1", "tiles1", "large1"])]


@pytest.mark.parametrize(("password", "is_retained"), [("of-ours", False), ("of-theirs", True)])
def test_given_a_start_without_redis_after_one_with_it_then_only_the_private_url_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, is_retained: bool
) -> None:
    line = f"BULKHEAD_REDIS_URL=redis://:{password}@127.0.0.1:1/0\n"
    (tmp_path / "bulkhead.env").write_text(f"{line}BULKHEAD_PORT=8081\n")
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "credentials").write_text("password=of-ours\n")
    monkeypatch.setenv("BULKHEAD_BROKER_URL", "amqp://127.0.0.1")
    monkeypatch.setenv("BULKHEAD_ARTIFACT_SECRET", "a")
    monkeypatch.setenv("BULKHEAD_LINK_SECRET", "l")
    monkeypatch.setattr(module, "check_broker", lambda _url: None)

    module.prepare_services(tmp_path, redis=False)

    assert (tmp_path / "bulkhead.env").read_text() == f"{line * is_retained}BULKHEAD_PORT=8081\n"


def test_given_a_port_in_use_then_nothing_is_started_and_the_error_suggests_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse) as refusal:
            run_platform([], Settings(port=port), tmp_path, assign_queues(Settings(), 1, 1))

    assert str(refusal.value) == (
        f"Cannot listen on 127.0.0.1, port {port}: it is in use. Choose another port with --port."
    )
    assert list(tmp_path.iterdir()) == []


def test_given_a_configured_broker_that_is_down_then_the_error_shows_no_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ServiceUnavailable) as failure:
        check_broker(f"amqp://bulkhead:hush-hush@127.0.0.1:{port}//")

    assert str(failure.value) == (
        "RabbitMQ does not answer at BULKHEAD_BROKER_URL ([Errno 111] Connection refused). "
        "Start it or correct the URL, or unset the variable to use a private RabbitMQ."
    )


def test_given_a_ledger_url_with_a_password_then_the_summary_does_not_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "mysql+pymysql://bulkhead:hush-hush@db/bulkhead"
    monkeypatch.setenv("BULKHEAD_LEDGER_URL", url)

    shown = format_summary(Settings(), tmp_path, ["render1"], private_broker=True)

    assert "ledger   BULKHEAD_LEDGER_URL" in shown
    assert "hush-hush" not in shown


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - an address to reach, not to listen on
        ("::", "http://[::1]:80"),
        ("fd00::1", "http://[fd00::1]:80"),
        ("cad.example", "http://cad.example:80"),
    ],
)
def test_given_a_listen_address_then_the_url_is_one_that_a_client_can_reach(host: str, url: str) -> None:
    assert web_url(host, 80) == url
