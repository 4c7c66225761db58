"""Members of libraries that Bulkhead overrides, replaces or uses although they are not public API.

This is the only list of them. A test fails when the source of one changes with a new release of its library: read the
change, adapt our code, and update the digest here. `pyproject.toml` bounds the versions of these libraries.
"""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import amqp.serialization
import amqp.transport
import billiard.common
import billiard.pool
import celery.__main__
import celery.beat
import celery.concurrency.asynpool
import celery.concurrency.prefork
import celery.worker.consumer
import celery.worker.control
import celery.worker.request
import pytest
import rstream.client
import rstream.connection

# (member, digest of its source, where it matters)
OVERRIDES: list[tuple[Callable[..., Any] | type, str, str]] = [
    (
        celery.concurrency.asynpool.AsynPool._repopulate_pool,
        "ddb6047b53d71629",
        "extensions.pool counts how children ended",
    ),
    (
        celery.concurrency.asynpool.AsynPool._track_child_process,
        "18b1226979790847",
        "extensions.pool watches a pidfd",
    ),
    (
        celery.concurrency.asynpool.AsynPool.did_start_ok,
        "e905769837be3630",
        "extensions.pool tolerates killed children",
    ),
    (
        celery.concurrency.asynpool.Worker.on_loop_start,
        "6ac575c063cd7a2a",
        "extensions.pool starts the child's lifetime",
    ),
    (billiard.pool.Pool._join_exited_workers, "c9b857c8a7980f66", "extensions.pool calls it"),
    (
        billiard.pool.Worker._make_child_methods,
        "77aa0671e34149a7",
        "extensions.pool recycles children between jobs",
    ),
    (
        billiard.pool.Worker._ensure_messages_consumed,
        "2349f7e1103d1029",
        "extensions.pool polls more often",
    ),
    (billiard.common.human_status, "ac65587f4ec011c5", "extensions.request parses its text"),
    (
        celery.concurrency.prefork.TaskPool._get_info,
        "22514681e3ca36b5",
        "extensions.pool adds statistics",
    ),
    (
        celery.concurrency.prefork.TaskPool.on_start,
        "7fcf20251a654c50",
        "extensions.pool freezes the garbage collector",
    ),
    (
        celery.worker.consumer.Consumer.ensure_connected,
        "3f79cf3bb6d6da8c",
        "extensions.consumer notifies systemd meanwhile",
    ),
    (
        celery.worker.consumer.Consumer.connect,
        "7ca359b806be9347",
        "extensions.consumer declares the dead-letter queues",
    ),
    (
        celery.worker.consumer.Consumer.connection_for_write,
        "9ccbf829bfb016fc",
        "extensions.consumer publishes unconfirmed events",
    ),
    (
        celery.worker.consumer.Consumer.create_task_handler,
        "292c5a681f10ade7",
        "extensions.consumer validates messages first",
    ),
    (
        celery.worker.consumer.Consumer.on_send_event_buffered,
        "0429cadc8bf9dc54",
        "extensions.consumer batches events",
    ),
    (
        celery.worker.consumer.Consumer._flush_events,
        "2f39dd2416515bf0",
        "extensions.consumer batches events",
    ),
    (
        celery.worker.request.Request.revoked,
        "5132788b1bc86f26",
        "extensions.request ignores revoked ids",
    ),
    (
        celery.worker.request.Request.on_accepted,
        "7bd097a863da039e",
        "extensions.request reads the cgroup's counters",
    ),
    (
        celery.worker.request.Request.on_timeout,
        "3d26ce896008646d",
        "extensions.request reports the crash",
    ),
    (
        celery.worker.request.Request.on_failure,
        "21736ec661cd60d7",
        "extensions.request reports the crash",
    ),
    (
        celery.worker.request.Request.on_retry,
        "ea63dbc5c2ce8a8b",
        "extensions.request sends its own event",
    ),
    (
        celery.worker.request.Request._announce_revoked,
        "a34ab36ca94d4d63",
        "extensions.request calls it",
    ),
    (celery.worker.control.revoke, "25c3bde7a118a14d", "extensions.revocation calls it"),
    (celery.worker.control.terminate, "31f08532aef33ad2", "extensions.revocation replaces it"),
    (celery.__main__.main, "c04d81b70332eb03", "tasks.__main__ does the same without maybe_patch_concurrency"),
    (
        celery.beat.Scheduler.tick,
        "cee54aab628fce6d",
        "extensions.scheduler sends only while it holds the lock",
    ),
    (amqp.serialization.decode_properties_basic, "38b3186146c760fa", "tasks.messaging.compatibility wraps it"),
    (
        amqp.transport._AbstractTransport.read_frame,
        "8ed436f6d193f87c",
        "workers.heartbeats.sources.amqp replaces _quick_recv",
    ),
    (
        rstream.connection.Connection,
        "cdd6f43b37427708",
        "workers.heartbeats.sources.frames replaces CHUNK_SIZE and decode_frame",
    ),
    (rstream.client.BaseClient._listener, "28e6993cc1ea0641", "workers.heartbeats.sources.stream reads _frames"),
]


def digest(member: Callable[..., Any] | type) -> str:
    return hashlib.sha256(inspect.getsource(member).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("member", "expected", "use"), OVERRIDES, ids=[f"{each.__module__}.{each.__qualname__}" for each, _, _ in OVERRIDES]
)
def test_given_a_private_member_of_a_library_then_it_is_the_one_that_our_code_was_written_for(
    member: Callable[..., Any] | type, expected: str, use: str
) -> None:
    assert digest(member) == expected, f"{member.__qualname__} has changed. {use}: adapt it, then update the digest."
