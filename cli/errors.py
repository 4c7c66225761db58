"""Converts an error to a sentence and an exit code, which `cli.app.main` prints and returns."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

UNEXPECTED = "An unexpected error occurred ({kind}: {error}). Repeat the command with --debug to see where."


def describe_error(error: Exception) -> tuple[str, int]:
    """What to tell the user about `error`, and the exit code.

    Everything that is not a `BulkheadError`, a wrong setting or an unusable file is a bug.
    """
    from pydantic import ValidationError

    from tasks.errors import BulkheadError

    if isinstance(error, BulkheadError):
        return error.message, error.exit_code
    if isinstance(error, ValidationError) and error.title == "Settings":
        return _describe_settings(error), 2
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}. Check the path and its permissions.", 2
    return UNEXPECTED.format(kind=type(error).__name__, error=error), 1


def as_json(error: Exception) -> dict[str, dict[str, str]]:
    """The error as a command prints it with --json; the same fields as in an HTTP problem."""
    from tasks.errors import BulkheadError

    code = error.code if isinstance(error, BulkheadError) else BulkheadError.code
    return {"error": {"code": code, "detail": describe_error(error)[0]}}


def _describe_settings(error: "ValidationError") -> str:
    problems = "; ".join(
        f"BULKHEAD_{str(each['loc'][0]).upper() if each['loc'] else ''}: {each['msg']}"
        for each in error.errors(include_input=False)
    )
    return f"A setting is wrong. {problems}. Correct the environment or var/bulkhead.env."
