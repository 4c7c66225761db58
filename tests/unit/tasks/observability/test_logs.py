"""Log lines that say what they are about."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tasks.observability.logs import formatter, log_context, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Lines:
    """A logger, and what it wrote."""

    def __init__(self, form: str) -> None:
        self.stream = io.StringIO()
        self.logger = logging.Logger("yard")  # noqa: LOG001 - one of its own, which pytest does not listen to
        handler = logging.StreamHandler(self.stream)
        handler.setFormatter(formatter(form))
        self.logger.addHandler(handler)

    def json(self) -> Iterator[dict[str, object]]:
        return (json.loads(line) for line in self.stream.getvalue().splitlines())


def test_given_json_when_a_line_is_logged_about_a_job_then_it_names_job_attempt_and_trace() -> None:
    lines = Lines("json")
    with log_context(job="j-1", attempt=2, traceparent=TRACEPARENT):
        lines.logger.warning("Layer %s is late.", "WALLS")
    lines.logger.info("Idle.")
    within, outside = lines.json()
    assert within.items() >= {
        "level": "WARNING", "logger": "yard", "message": "Layer WALLS is late.",
        "job": "j-1", "attempt": 2, "trace_id": TRACE,
    }.items()  # fmt: skip
    assert outside.items() >= {"level": "INFO", "message": "Idle."}.items()
    assert not {"job", "attempt", "trace_id"} & outside.keys()


def test_given_json_when_a_drawing_puts_a_line_break_into_a_message_then_it_stays_one_line() -> None:
    lines = Lines("json")
    lines.logger.error("Layer %s failed.", 'A\n{"level": "INFO"}')
    (line,) = lines.json()
    assert line["message"] == 'Layer A\n{"level": "INFO"} failed.'


def test_given_json_when_an_error_is_logged_then_its_traceback_is_in_the_line() -> None:
    lines = Lines("json")
    try:
        raise ValueError("no such sheet")
    except ValueError:
        lines.logger.exception("The attempt failed.")
    (line,) = lines.json()
    assert "ValueError: no such sheet" in str(line["exc_info"])


def test_given_text_then_a_line_is_for_people() -> None:
    lines = Lines("text")
    with log_context(job="j-1"):
        lines.logger.warning("Late.")
    assert lines.stream.getvalue().endswith(" WARNING Late.\n")


@pytest.mark.parametrize(("given", "trace"), [(TRACEPARENT, TRACE), (None, None), ("", None)])
def test_the_trace_is_the_second_part_of_a_traceparent(given: str | None, trace: str | None) -> None:
    assert trace_id(given) == trace
