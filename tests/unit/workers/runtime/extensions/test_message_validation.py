"""Which messages are valid, and the reasons for which others are rejected."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import maintenance, renders
from tasks.messaging.compatibility import UNREADABLE_HEADER
from tasks.messaging.topology import MAINTENANCE, RENDER, RENDER_QUEUES
from workers.runtime.extensions.message_validation import MAX_BODY_BYTES, MAX_REASON_LENGTH, validate_message

JOB = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
HEADERS: dict[str, Any] = {"task": renders.TASK, "id": JOB}
FIELDS: dict[str, Any] = {"job": JOB, "tenant": "acme", "source": f"sources/acme/{JOB}"}

# Headers that Celery sends.
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
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def body(fields: Any = None, args: Any = (), embed: Any = None) -> bytes:
    return json.dumps([args, FIELDS if fields is None else fields, {} if embed is None else embed]).encode()


def validate(headers: Any = None, content: bytes | None = None, **more: Any) -> str | None:
    known: dict[str, Any] = {"content_type": "application/json", "content_encoding": "utf-8", "routing_key": RENDER}
    return validate_message(
        HEADERS if headers is None else headers, body() if content is None else content, **{**known, **more}
    )


@pytest.mark.parametrize("headers", [HEADERS, PROTOCOL_2, {**PROTOCOL_2, "x-death": [{"count": 1}], "more": object()}])
@pytest.mark.parametrize("embed", [{}, EMBED])
def test_given_a_message_of_celery_or_a_minimal_one_then_it_is_valid(headers: Any, embed: Any) -> None:
    assert validate(headers, body(embed=embed)) is None


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8"])
def test_given_any_spelling_of_utf_8_then_it_is_valid(encoding: str) -> None:
    assert validate(content_encoding=encoding) is None


@pytest.mark.parametrize("queue", RENDER_QUEUES)
def test_given_a_render_then_it_is_valid_on_every_render_queue(queue: str) -> None:
    assert validate(routing_key=queue) is None


def test_given_a_maintenance_task_then_it_is_valid_on_its_own_queue_only() -> None:
    for task in (maintenance.SWEEP_TASK, maintenance.RETAIN_TASK):
        headers = {"task": task, "id": JOB}
        assert validate(headers, b"[[], {}, {}]", routing_key=MAINTENANCE) is None
        assert validate(headers, b"[[], {}, {}]") == f"no task '{task}' is handled on the queue 'render'"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            {"content": b"x" * (MAX_BODY_BYTES + 1)},
            "the body has 65,537 bytes; the largest allowed has 65,536",
        ),
        ({"content_type": None}, "the content type is None; only 'application/json' is accepted"),
        (
            {"content_type": "application/x-python-serialize"},
            "the content type is 'application/x-python-serialize'; only 'application/json' is accepted",
        ),
        ({"content_encoding": "utf-16"}, "the content encoding is 'utf-16'; only 'utf-8' is accepted"),
        ({"content_encoding": None}, "the content encoding is None; only 'utf-8' is accepted"),
        ({"routing_key": "elsewhere"}, "no task 'render.blueprint' is handled on the queue 'elsewhere'"),
        (
            {"headers": {UNREADABLE_HEADER: "UnicodeDecodeError: invalid start byte"}},
            "the message cannot be read: UnicodeDecodeError: invalid start byte",
        ),
    ],
)
def test_given_an_unreadable_message_then_it_is_rejected_without_parsing(more: dict[str, Any], reason: str) -> None:
    assert validate(**more) == reason


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
def test_given_headers_that_could_change_the_worker_then_they_are_rejected(
    headers: dict[str, Any], reason: str
) -> None:
    actual = validate(headers)

    assert actual is not None
    assert actual.startswith(f"the headers are not those of Celery's protocol 2: {reason}")


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
        (body(embed={"chain": [{"task": "x"}]}), "2.chain: Input should be null"),
        (body(embed={"more": 1}), "2.more: Extra inputs are not permitted"),
    ],
)
def test_given_an_invalid_body_then_it_is_rejected_with_the_first_error(content: bytes, reason: str) -> None:
    actual = validate(content=content)

    assert actual is not None
    assert actual.startswith(
        f"the body is not [[], message, {{}}] with a message that fits render.blueprint: {reason}"
    ), actual


GOLDEN = sorted((Path(__file__).parents[4] / "contract" / "messages").glob("render-*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_given_a_message_of_any_released_version_then_it_is_valid(path: Path) -> None:
    message = json.loads(path.read_text())

    assert validate({**PROTOCOL_2, **message["headers"]}, json.dumps(message["body"]).encode()) is None


def test_golden_messages_exist_for_all_versions_of_the_schema() -> None:
    known = get_args(renders.RenderMessage.model_fields["version"].annotation)

    assert {path.stem for path in GOLDEN} >= {f"render-{version}" for version in known}


@pytest.mark.parametrize(
    ("version", "quoted"),
    [(2, "2"), ("1", "'1'"), ("x" * 5000, "'" + "x" * (MAX_REASON_LENGTH - 1))],
)
def test_given_an_unknown_version_then_the_reason_says_what_to_do(version: Any, quoted: str) -> None:
    newer = body({**FIELDS, "version": version, "copies": 3})

    assert validate(content=newer) == (
        f"the message has version {quoted}, this worker supports 1: upgrade the workers, then replay it"
    )


def test_given_a_task_id_that_is_not_the_job_s_then_it_is_rejected() -> None:
    other = JOB.replace("0b", "1c")

    assert validate({**HEADERS, "id": other}) == "the task id is not the job's id"


def test_given_any_message_then_the_reason_is_short_and_printable() -> None:
    actual = validate(content=body({**FIELDS, "\x1b[31m\n" * 5000: 1}))

    assert actual is not None
    assert len(actual) < MAX_REASON_LENGTH + 100
    assert actual.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)
header_values = json_values | st.binary() | st.dates() | st.decimals()


@given(headers=st.dictionaries(st.text() | st.binary(), header_values) | st.none(), content=st.binary())
def test_given_random_headers_and_bytes_then_they_are_rejected(headers: Any, content: bytes) -> None:
    assert validate_message(
        headers, content, content_type="application/json", content_encoding="utf-8", routing_key=RENDER
    )


@given(json_values)
def test_given_random_json_then_it_is_rejected(value: Any) -> None:
    assert validate(content=json.dumps(value).encode())


@given(field=st.sampled_from([*FIELDS, "filename", "options", "version", "traceparent"]), value=json_values)
def test_given_a_valid_message_with_one_field_changed_then_the_schema_decides(field: str, value: Any) -> None:
    changed = {**FIELDS, field: value}
    actual = validate(content=body(changed))

    if actual is None:
        renders.RenderMessage.model_validate_json(json.dumps(changed))


@given(name=st.sampled_from(sorted(PROTOCOL_2)), value=header_values)
def test_given_a_changed_header_then_it_is_valid_or_rejected_by_its_name(name: str, value: Any) -> None:
    actual = validate({**PROTOCOL_2, name: value})

    assert actual is None or name in actual or actual.startswith(("no task", "the task id is not the job's"))
