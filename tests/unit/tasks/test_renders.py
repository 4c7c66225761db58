"""What a render's message may hold, and how its artifacts are named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.renders import (
    MAX_WIDTH,
    RenderMessage,
    RenderOptions,
    artifact_key,
    artifact_prefix,
    canonical_options,
    source_key,
)

JOB = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
FIELDS: dict[str, Any] = {"job": JOB, "tenant": "acme", "source": f"sources/acme/{JOB}"}
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def test_a_message_of_its_required_fields_alone_is_complete() -> None:
    message = RenderMessage.model_validate(FIELDS)

    assert (message.version, message.filename, message.options) == (1, "", RenderOptions())
    assert RenderMessage.model_validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("width", [16, MAX_WIDTH])
def test_widths_within_the_bounds_of_webp_are_taken(width: int) -> None:
    assert RenderOptions(width=width).width == width


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"width": 15}, "greater than or equal to 16"),
        ({"width": MAX_WIDTH + 1}, "less than or equal to 16383"),
        ({"width": "64"}, "valid integer"),
        ({"width": 64.0}, "valid integer"),
        ({"width": True}, "valid integer"),
        ({"background": "pink"}, "'light', 'dark' or 'transparent'"),
        ({"layout": "x" * 256}, "at most 255 characters"),
        ({"page": 0}, "greater than or equal to 1"),
        ({"quality": 80}, "Extra inputs are not permitted"),
    ],
)
def test_other_options_are_refused_with_what_would_do(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RenderOptions.model_validate(options)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"job": JOB.upper()}, "write the UUID in lower case with hyphens"),
        ({"job": JOB.replace("-", "")}, "at least 36 characters"),
        ({"job": "x" * 36}, "badly formed hexadecimal UUID string"),
        ({"tenant": "Acme"}, "should match pattern"),
        ({"tenant": "rival"}, "the source does not belong to the tenant"),
        ({"source": "sources/rival/x"}, "the source does not belong to the tenant"),
        ({"source": "sources/acme/../rival/x"}, "should match pattern"),
        ({"source": "/etc/passwd"}, "should match pattern"),
        ({"source": "sources/acme/.hidden"}, "should match pattern"),
        ({"source": "sources/acme/x\n"}, "should match pattern"),
        ({"filename": "x" * 256}, "at most 255 characters"),
        ({"version": 2}, "Input should be 1"),
        ({"traceparent": "not a trace"}, "should match pattern"),
        ({"priority": 9}, "Extra inputs are not permitted"),
    ],
)
def test_other_messages_are_refused_with_the_reason(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RenderMessage.model_validate({**FIELDS, **fields})


def test_options_have_one_spelling_with_sorted_keys_defaults_and_raw_letters() -> None:
    text = canonical_options(RenderOptions(layout="Übersicht \u2028", width=64))

    assert text.startswith('{"background":"light",')
    assert '"layout":"Übersicht \u2028"' in text
    assert text.endswith('"width":64}')
    assert " " not in text.replace("Übersicht ", "")


@given(width=st.integers(16, MAX_WIDTH), layout=st.text(st.characters(exclude_categories=["Cs"]), max_size=255))
def test_options_spelled_canonically_are_read_back_the_same(width: int, layout: str) -> None:
    options = RenderOptions(width=width, layout=layout)

    assert RenderOptions.model_validate_json(canonical_options(options)) == options


def test_an_artifacts_key_depends_on_everything_that_changes_the_artifacts_and_on_the_secret() -> None:
    def key(keyed: str = "s", tenant: str = "acme", digest: str = DIGEST, **options: Any) -> str:
        return artifact_key(keyed, tenant, digest, RenderOptions(**options))

    keys = [
        key(),
        key(keyed="t"),
        key(tenant="rival"),
        key(digest="0" * 64),
        key(width=64),
        key(background="dark"),
        key(layout="A"),
        key(page=2),
    ]

    assert key() == keys[0]
    assert len(set(keys)) == len(keys)
    assert all(len(one) == 64 and int(one, 16) >= 0 for one in keys)


def test_an_artifacts_key_cannot_be_made_by_shifting_letters_between_its_parts() -> None:
    assert artifact_key("s", "ab", "c", RenderOptions()) != artifact_key("s", "a", "bc", RenderOptions())


def test_keys_of_the_store_tell_whose_they_are() -> None:
    assert source_key("acme", JOB) == f"sources/acme/{JOB}"
    assert artifact_prefix("acme", "f" * 64) == f"artifacts/acme/{'f' * 64}"
