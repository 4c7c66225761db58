"""The errors of Bulkhead. Each class defines a code, an exit code and an HTTP status.

    BulkheadError
    |-- InvalidInput          what was given cannot be used                 exit 2, HTTP 422
    |   `-- NotFound          what was asked for does not exist             exit 2, HTTP 404
    |-- Conflict              the request contradicts the current state     exit 2, HTTP 409
    |-- ServiceUnavailable    a service is missing or does not answer       exit 3, HTTP 503, transient
    `-- JobFailed             the job failed                                exit 1, HTTP 422

Errors of a domain live in the package that raises them and descend from one of these. `cli.errors` turns them into a
sentence and an exit code, `web.problems` into an RFC 9457 problem. Anything else is a bug and is reported as one.
"""

from typing import ClassVar


class BulkheadError(Exception):
    """An error that Bulkhead raises on purpose. Its text is a sentence for people that says what to do next.

    The docstring of a subclass is its default text. `code` names the error for programs and never changes its meaning;
    `transient` tells whether the same call may succeed later, without anybody changing anything.
    """

    code: str = "internal-error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or _first_paragraph(type(self)))

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.args[0])


class InvalidInput(BulkheadError):
    """The input cannot be used."""

    code = "invalid-input"
    exit_code = 2
    http_status = 422


class NotFound(InvalidInput):
    """What was asked for does not exist."""

    code = "not-found"
    http_status = 404


class Conflict(BulkheadError):
    """The request contradicts the current state."""

    code = "conflict"
    exit_code = 2
    http_status = 409


class ServiceUnavailable(BulkheadError):
    """A required service does not answer. Run `bulkhead doctor`."""

    code = "service-unavailable"
    exit_code = 3
    http_status = 503
    transient = True


class JobFailed(BulkheadError):
    """The job failed."""

    code = "job-failed"
    http_status = 422


def _first_paragraph(error: type[BulkheadError]) -> str:
    return " ".join((error.__doc__ or error.__name__).split("\n\n", 1)[0].split())
