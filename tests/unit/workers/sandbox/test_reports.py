"""Lines of a process that may be hostile."""

from workers.sandbox.reports import MAX_LINE_BYTES, LineReader, Progress


def test_given_hostile_lines_then_only_valid_ones_arrive_and_without_control_characters() -> None:
    lines = (
        b'{"progress": {"percent": 10000000000, "stage": "x"}}',
        b'{"progress": {"percent": "99", "stage": "x"}}',
        b'{"progress": {"percent": 1, "stage": "x", "more": 1}}',
        b'{"failure": {"code": "no code", "message": "x"}}',
        b'{"progress": {"percent": 1, "stage": "\\u001b[2J\\u009b"}}',
        b"[" * 30_000,
        b"\xff\xfe",
        b"x" * (MAX_LINE_BYTES + 1),
    )
    reader = LineReader()
    received = list(reader.feed(b"\n".join(lines) + b"\n"))
    assert [line.progress for line in received] == [Progress(percent=1, stage="\ufffd[2J\ufffd")]
    assert reader.total == sum(len(line) + 1 for line in lines)
