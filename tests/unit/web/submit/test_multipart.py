"""The parser of the render form, with arbitrary pieces and contents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.problems import Problem
from web.submit.multipart import MAX_FIELD_BYTES, MAX_FIELDS, FormReader, boundary_of, clean_filename


def part(name: str, value: bytes, extra: str = "") -> bytes:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--edge--\r\n"


def read(body: bytes, cuts: list[int] | None = None) -> tuple[bytes, FormReader]:
    reader, blueprint, start = FormReader(b"edge"), bytearray(), 0
    for cut in [*sorted(cuts or []), len(body)]:
        for piece in reader.feed(body[start:cut]):
            blueprint += piece
        start = max(start, cut)
    return bytes(blueprint), reader


@given(
    drawing=st.binary(max_size=300) | st.just(b"\r\n--edg\r\n--edge\r\n"[:6] * 5),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
def test_given_a_form_in_arbitrary_pieces_when_parsed_then_drawing_and_fields_are_complete(
    drawing: bytes, cuts: list[int]
) -> None:
    body = form(part("width", b"12"), part("blueprint", drawing, '; filename="a.dxf"'), part("layout", "Ä".encode()))
    blueprint, reader = read(body, cuts)

    parsed = reader.finish()
    assert blueprint == drawing
    assert (parsed.filename, parsed.fields) == ("a.dxf", {"width": "12", "layout": "Ä"})


@given(garbage=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_given_garbage_when_parsed_then_a_problem_is_raised(garbage: bytes, cuts: list[int]) -> None:
    with pytest.raises(Problem):
        read(b"--edge" + garbage, cuts)[1].finish()


@pytest.mark.parametrize("end", range(0, 96, 7))
def test_given_a_truncated_form_when_finished_then_400_says_so(end: int) -> None:
    body = form(part("blueprint", b"drawing", '; filename="a"'))
    with pytest.raises(Problem, match=r"truncated or not valid multipart/form-data. Send it again") as raised:
        read(body[: len(body) * end // 100])[1].finish()
    assert raised.value.http_status == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (form(part("width", b"1")), "Send the drawing in the file field 'blueprint'"),
        (form(part("blueprint", b"1"), part("blueprint", b"2")), "'blueprint' occurs twice"),
        (form(part("width", b"1"), part("width", b"2")), "'width' occurs twice"),
        (form(part("layout", b"x" * (MAX_FIELD_BYTES + 1))), "'layout' is longer than 4096 bytes"),
        (form(*(part(str(number), b"") for number in range(MAX_FIELDS + 1))), "more than 32 fields"),
    ],
)
def test_given_an_invalid_form_when_parsed_then_422_names_the_error(body: bytes, message: str) -> None:
    with pytest.raises(Problem, match=message) as raised:
        read(body)[1].finish()
    assert raised.value.http_status == 422


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 71],
)
def test_given_a_content_type_without_a_valid_boundary_then_400(content_type: str) -> None:
    with pytest.raises(Problem) as raised:
        boundary_of(content_type)
    assert raised.value.http_status == 400


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("plan.dxf", "plan.dxf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Drawings\\plan.dxf", "plan.dxf"),
        ("pl\x00an\r\n.dxf", "plan.dxf"),
        ("\u202efxd.nalp", "fxd.nalp"),
        ("A\u030a.png", "\u00c5.png"),
        ("x" * 300, "x" * 255),
        ("  ", ""),
        ("dir/", ""),
    ],
)
def test_given_a_filename_when_cleaned_then_folders_and_control_characters_are_removed(name: str, clean: str) -> None:
    assert clean_filename(name) == clean
