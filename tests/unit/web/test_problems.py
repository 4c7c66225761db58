"""The translation of errors to problems by their attributes."""

from __future__ import annotations

from tasks.errors import BulkheadError, Conflict, ServiceUnavailable
from web.problems import translate


class Outage(ServiceUnavailable):
    """The archive does not answer. Check BULKHEAD_ARCHIVE_URL."""

    code = "archive-unavailable"


class Outdated(ServiceUnavailable):
    """The archive is outdated. Run `bulkhead migrate`."""

    code = "archive-outdated"
    transient = False


class Locked(Conflict):
    """The archive is locked."""

    code = "archive-locked"


def test_given_a_client_error_when_translated_then_the_problem_contains_its_text() -> None:
    problem = translate(Locked("Wait for the archive of acme."))

    assert (problem.http_status, problem.code) == (409, "archive-locked")
    assert problem.message == "Wait for the archive of acme."
    assert problem.headers == {}


def test_given_a_transient_server_error_when_translated_then_it_says_when_to_retry_and_reveals_no_detail() -> None:
    problem = translate(Outage("password@archive.internal refused"))

    assert (problem.http_status, problem.code) == (503, "archive-unavailable")
    assert problem.message == "The archive does not answer. Try again in 2 s."
    assert problem.headers == {"retry-after": "2"}


def test_given_a_permanent_server_error_when_translated_then_it_says_what_to_do_and_not_to_retry() -> None:
    problem = translate(Outdated("archive.internal: no such table"))

    assert (problem.http_status, problem.code) == (503, "archive-outdated")
    assert problem.message == "The archive is outdated. Run `bulkhead migrate`."
    assert problem.headers == {}


def test_given_a_bug_when_translated_then_it_is_an_internal_error_without_details() -> None:
    for error in (RuntimeError("a secret"), BulkheadError("a secret")):
        problem = translate(error)
        assert (problem.http_status, problem.code) == (500, "internal-error")
        assert problem.message == "An internal error occurred. The server's log has the details."
