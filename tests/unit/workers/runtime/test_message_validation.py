"""What is let in before a worker, and why everything else is not."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import maintenance, renders
from tasks.messaging.compatibility import UNREADABLE_HEADER
from tasks.messaging.topology import MAINTENANCE, RENDER, RENDER_QUEUES
from workers.runtime.message_validation import MAX_BODY_BYTES, MAX_REASON_LENGTH, validate_message

JOB = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
HEADERS: dict[str, Any] = {"task": renders.TASK, "id": JOB}
FIELDS: dict[str, Any] = {"job": JOB, "tenant": "acme", "source": f"sources/acme/{JOB}"}

# What Celery itself sends beside a message.
PROTOCOL_2: dict[str, Any] = {
    **HEADERS,
    "lang": "py",
    "root_id": JOB,
    "parent_id": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "eta": None,
    "expires": None,
    "timelimit": [None, None],
    "argsrepr": "()",
    "kwargsrepr": "{}",
    "origin": "gen1@host",
    "shadow": None,
    "ignore_result": True,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
}
EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def body(fields: Any = None, args: Any = (), embedded: Any = None) -> bytes:
    return json.dumps([args, FIELDS if fields is None else fields, {} if embedded is None else embedded]).encode()


def judge(headers: Any = None, content: bytes | None = None, **more: Any) -> str | None:
    known: dict[str, Any] = {"content_type": "application/json", "content_encoding": "utf-8", "routing_key": RENDER}
    return validate_message(
        HEADERS if headers is None else headers, body() if content is None else content, **{**known, **more}
    )


@pytest.mark.parametrize("headers", [HEADERS, PROTOCOL_2, {**PROTOCOL_2, "x-death": [{"count": 1}], "more": object()}])
@pytest.mark.parametrize("embedded", [{}, EMBEDDED])
def test_a_message_of_celery_or_the_least_one_of_another_language_is_let_in(headers: Any, embedded: Any) -> None:
    assert judge(headers, body(embedded=embedded)) is None


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8"])
def test_utf_8_may_be_spelled_in_every_way(encoding: str) -> None:
    assert judge(content_encoding=encoding) is None


@pytest.mark.parametrize("lane", RENDER_QUEUES)
def test_a_render_is_let_in_on_every_lane(lane: str) -> None:
    assert judge(routing_key=lane) is None


def test_a_sweep_and_a_round_of_retention_are_let_in_on_their_own_queue_only() -> None:
    for task in (maintenance.SWEEP_TASK, maintenance.RETAIN_TASK):
        sweep = {"task": task, "id": JOB}
        assert judge(sweep, b"[[], {}, {}]", routing_key=MAINTENANCE) is None
        assert judge(sweep, b"[[], {}, {}]") == f"no task '{task}' is served on the queue 'render'"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            {"content": b"x" * (MAX_BODY_BYTES + 1)},
            "the body has 65,537 bytes; the largest allowed has 65,536",
        ),
        ({"content_type": None}, "the content type is None; only 'application/json' is taken"),
        (
            {"content_type": "application/x-python-serialize"},
            "the content type is 'application/x-python-serialize'; only 'application/json' is taken",
        ),
        ({"content_encoding": "utf-16"}, "the content encoding is 'utf-16'; only 'utf-8' is taken"),
        ({"content_encoding": None}, "the content encoding is None; only 'utf-8' is taken"),
        ({"routing_key": "elsewhere"}, "no task 'render.blueprint' is served on the queue 'elsewhere'"),
        (
            {"headers": {UNREADABLE_HEADER: "UnicodeDecodeError: invalid start byte"}},
            "the message cannot be read: UnicodeDecodeError: invalid start byte",
        ),
    ],
)
def test_what_is_not_even_looked_into_is_refused(more: dict[str, Any], reason: str) -> None:
    assert judge(**more) == reason


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "task: Field required"),
        ({"task": renders.TASK}, "id: Field required"),
        ({**HEADERS, "task": 5}, "task: Input should be a valid string"),
        ({**HEADERS, "id": JOB.upper()}, "id: Value error, write the UUID in lower case with hyphens"),
        ({**HEADERS, "id": "../../x"}, "id: String should have at least 36 characters"),
        ({**HEADERS, "retries": 1}, "retries: Input should be 0"),
        ({**HEADERS, "eta": "2020-01-01T00:00:00"}, "eta: Input should be None"),
        ({**HEADERS, "expires": "2020-01-01T00:00:00"}, "expires: Input should be None"),
        ({**HEADERS, "group": JOB}, "group: Input should be None"),
        ({**HEADERS, "timelimit": [1, 2, 3]}, "timelimit: List should have at most 2 items after validation, not 3"),
        ({**HEADERS, "stamped_headers": ["x"]}, "stamped_headers: List should have at most 0 items"),
        ({**HEADERS, "stamps": {"x": 1}}, "stamps: Dictionary should have at most 0 items"),
        ({**HEADERS, "compression": "application/x-gzip"}, "compression: Input should be None"),
        ({**HEADERS, "callbacks": [{"task": "x"}]}, "callbacks: Input should be None"),
        ({**HEADERS, "errbacks": [{"task": "x"}]}, "errbacks: Input should be None"),
        ({**HEADERS, "chain": [{"task": "x"}]}, "chain: Input should be None"),
        ({**HEADERS, "chord": {"task": "x"}}, "chord: Input should be None"),
    ],
)
def test_headers_that_could_change_what_a_worker_does_are_refused(headers: dict[str, Any], reason: str) -> None:
    told = judge(headers)

    assert told is not None
    assert told.startswith(f"the headers are not those of Celery's protocol 2: {reason}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Invalid JSON: EOF while parsing a value"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[[], {}, {}", "Invalid JSON: EOF while parsing a list"),
        (b"[" * 60_000, "Invalid JSON: recursion limit exceeded"),
        (b"null", "Input should be a valid array"),
        (b'{"task": "render.blueprint"}', "Input should be a valid array"),
        (json.dumps([[], FIELDS]).encode(), "2: Field required"),
        (body(args=[1]), "0: Tuple should have at most 0 items"),
        (body(fields=[]), "1: Input should be an object"),
        (body(fields={}), "1.job: Field required"),
        (body({**FIELDS, "more": 1}), "1.more: Extra inputs are not permitted"),
        (body({**FIELDS, "filename": {"__type__": "bytes", "__value__": "x"}}), "1.filename: Input should be a valid"),
        (body({**FIELDS, "options": {"width": 1e400}}).replace(b"Infinity", b"1e400"), "1.options.width: Input should"),
        (body({**FIELDS, "options": {"width": 9**99}}), "1.options.width: "),
        (body({**FIELDS, "tenant": "rival"}), "1: Value error, the source does not belong to the tenant"),
        (body(embedded={"chain": [{"task": "x"}]}), "2.chain: Input should be null"),
        (body(embedded={"more": 1}), "2.more: Extra inputs are not permitted"),
    ],
)
def test_bodies_of_another_shape_are_refused_with_the_first_thing_wrong(content: bytes, reason: str) -> None:
    told = judge(content=content)

    assert told is not None
    assert told.startswith(
        f"the body is not [[], message, {{}}] with a message that fits render.blueprint: {reason}"
    ), told


GOLDEN = sorted((Path(__file__).parents[3] / "contract" / "messages").glob("render-*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_version_that_was_ever_published_is_still_let_in(path: Path) -> None:
    message = json.loads(path.read_text())

    assert judge({**PROTOCOL_2, **message["headers"]}, json.dumps(message["body"]).encode()) is None


def test_the_golden_messages_are_those_of_every_version_that_the_schema_knows() -> None:
    known = get_args(renders.RenderMessage.model_fields["version"].annotation)

    assert {path.stem for path in GOLDEN} >= {f"render-{version}" for version in known}


@pytest.mark.parametrize(
    ("version", "told"),
    [(2, "2"), ("1", "'1'"), ("x" * 5000, "'" + "x" * (MAX_REASON_LENGTH - 1))],
)
def test_a_version_that_is_not_known_is_refused_with_what_to_do(version: Any, told: str) -> None:
    newer = body({**FIELDS, "version": version, "copies": 3})

    assert judge(content=newer) == (
        f"the message has version {told}, this worker knows 1: upgrade the workers, then replay it"
    )


def test_a_task_id_that_is_not_the_jobs_is_refused() -> None:
    other = JOB.replace("0b", "1c")

    assert judge({**HEADERS, "id": other}) == "the task id is not the job's id"


def test_a_reason_is_short_and_printable_whatever_the_message_holds() -> None:
    told = judge(content=body({**FIELDS, "\x1b[31m\n" * 5000: 1}))

    assert told is not None
    assert len(told) < MAX_REASON_LENGTH + 100
    assert told.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)
header_values = json_values | st.binary() | st.dates() | st.decimals()


@given(headers=st.dictionaries(st.text() | st.binary(), header_values) | st.none(), content=st.binary())
def test_any_headers_and_bytes_are_refused_and_never_raise(headers: Any, content: bytes) -> None:
    assert validate_message(
        headers, content, content_type="application/json", content_encoding="utf-8", routing_key=RENDER
    )


@given(json_values)
def test_any_json_is_refused_and_never_raises(value: Any) -> None:
    assert judge(content=json.dumps(value).encode())


@given(field=st.sampled_from([*FIELDS, "filename", "options", "version", "traceparent"]), value=json_values)
def test_a_valid_message_with_one_field_changed_is_either_still_a_message_or_refused(field: str, value: Any) -> None:
    changed = {**FIELDS, field: value}
    told = judge(content=body(changed))

    if told is None:
        renders.RenderMessage.model_validate_json(json.dumps(changed))


@given(name=st.sampled_from(sorted(PROTOCOL_2)), value=header_values)
def test_a_valid_header_changed_is_let_in_or_refused_by_its_name(name: str, value: Any) -> None:
    told = judge({**PROTOCOL_2, name: value})

    assert told is None or name in told or told.startswith(("no task", "the task id is not the job's"))
