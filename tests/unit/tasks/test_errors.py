"""The error tree."""

import pytest

from tasks.errors import BulkheadError, Conflict, InvalidInput, JobFailed, NotFound, ServiceUnavailable


class QueueIsFull(ServiceUnavailable):
    """The queue is full.
    Try again later.

    A second paragraph for developers.
    """

    code = "queue-full"


def test_given_no_text_then_the_docstring_is_the_message() -> None:
    assert QueueIsFull().message == str(QueueIsFull()) == "The queue is full. Try again later."


def test_given_a_text_then_it_is_the_message() -> None:
    assert QueueIsFull("The queue `render` is full.").message == "The queue `render` is full."


@pytest.mark.parametrize(
    ("error", "exit_code", "status", "transient"),
    [
        (BulkheadError, 1, 500, False),
        (InvalidInput, 2, 422, False),
        (NotFound, 2, 404, False),
        (Conflict, 2, 409, False),
        (ServiceUnavailable, 3, 503, True),
        (QueueIsFull, 3, 503, True),
        (JobFailed, 1, 422, False),
    ],
)
def test_every_kind_says_how_it_is_reported(
    error: type[BulkheadError], exit_code: int, status: int, transient: bool
) -> None:
    assert (error.exit_code, error.http_status, error.transient) == (exit_code, status, transient)
