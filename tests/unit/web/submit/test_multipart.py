"""The render form, however it is cut into pieces and whatever it holds."""

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
    reader, found, start = FormReader(b"edge"), bytearray(), 0
    for cut in [*sorted(cuts or []), len(body)]:
        for piece in reader.feed(body[start:cut]):
            found += piece
        start = max(start, cut)
    return bytes(found), reader


@given(
    drawing=st.binary(max_size=300) | st.just(b"\r\n--edg\r\n--edge\r\n"[:6] * 5),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
def test_given_a_form_in_any_pieces_when_read_then_drawing_and_fields_come_out_whole(
    drawing: bytes, cuts: list[int]
) -> None:
    body = form(part("width", b"12"), part("blueprint", drawing, '; filename="a.dxf"'), part("layout", "Ä".encode()))
    found, reader = read(body, cuts)

    said = reader.finish()
    assert found == drawing
    assert (said.filename, said.fields) == ("a.dxf", {"width": "12", "layout": "Ä"})


@given(garbage=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_given_garbage_when_read_then_it_is_a_problem_and_nothing_else(garbage: bytes, cuts: list[int]) -> None:
    with pytest.raises(Problem):
        read(b"--edge" + garbage, cuts)[1].finish()


@pytest.mark.parametrize("end", range(0, 96, 7))
def test_given_a_form_that_breaks_off_when_finished_then_400_says_so(end: int) -> None:
    body = form(part("blueprint", b"drawing", '; filename="a"'))
    with pytest.raises(Problem, match=r"breaks off or is not multipart/form-data: send it again") as raised:
        read(body[: len(body) * end // 100])[1].finish()
    assert raised.value.http_status == 400


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (form(part("width", b"1")), "Send the drawing as the file field 'blueprint'"),
        (form(part("blueprint", b"1"), part("blueprint", b"2")), "'blueprint' was sent twice"),
        (form(part("width", b"1"), part("width", b"2")), "'width' was sent twice"),
        (form(part("layout", b"x" * (MAX_FIELD_BYTES + 1))), "'layout' is longer than 4096 bytes"),
        (form(*(part(str(number), b"") for number in range(MAX_FIELDS + 1))), "more than 32 fields"),
    ],
)
def test_given_a_form_that_is_wrong_when_read_then_422_names_the_fault(body: bytes, says: str) -> None:
    with pytest.raises(Problem, match=says) as raised:
        read(body)[1].finish()
    assert raised.value.http_status == 422


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 71],
)
def test_given_no_usable_boundary_when_asked_for_then_400(content_type: str) -> None:
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
def test_given_a_filename_when_cleaned_then_folders_and_tricks_are_gone(name: str, clean: str) -> None:
    assert clean_filename(name) == clean
