"""The body of sandboxed tasks: calls a function of a user's in the sandbox. Loads no Celery of its own."""

import json
import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from workers.sandbox.reports import MAX_LINE_BYTES, MAX_TEXT_LENGTH, MAX_TRACEBACK_LENGTH

ENTRY = "workers.sandbox.function_call:call_function"
REHEARSE = "workers.sandbox.function_call:rehearse"

# Bytes of a result as JSON.
MAX_RESULT_BYTES = MAX_LINE_BYTES - 1024

# Functions that could not be loaded: the process of a call could not read their modules either.
_unavailable: dict[str, Exception] = {}


class ResultTooLarge(ValueError):
    """The result of a sandboxed function is too large. Write it to a file in the working directory instead."""


def call_function(arguments: Mapping[str, Any], _report: object) -> dict[str, Any]:
    """Call `function` (see `find_function`) with `args` and `kwargs`. Returns its value, or the error it raised.

    Raises MemoryError, which is a death rather than an error of the function.
    """
    try:
        if (unavailable := _unavailable.get(arguments["function"])) is not None:
            raise unavailable
        function = find_function(arguments["function"])
        return {"value": _check(function(*arguments["args"], **arguments["kwargs"]))}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a function of a user's raises
        return {
            "error": {
                "type": type(error).__qualname__,
                "message": str(error)[:MAX_TEXT_LENGTH],
                "traceback": "".join(traceback.format_exception(error))[-MAX_TRACEBACK_LENGTH:],
            }
        }


def preload(names: Iterable[str]) -> None:
    """Look up functions in the zygote. The call of one that cannot be loaded raises the error."""
    for name in names:
        try:
            find_function(name)
        except Exception as error:  # noqa: BLE001 - whatever a module of a user's raises
            _unavailable[name] = error


def find_function(name: str) -> Callable[..., Any]:
    """The function `module:qualified.name`; of a Celery task the function that it was made from.

    Raises ImportError and AttributeError.
    """
    module, _, qualified = name.partition(":")
    found: Any = import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found.__wrapped__ if hasattr(found, "apply_async") else found
    return function


def rehearse() -> None:
    """What a process does ahead of its request. It is enough that it has been forked."""


def _check(value: Any) -> Any:
    size = len(json.dumps(value))
    if size > MAX_RESULT_BYTES:
        raise ResultTooLarge(
            f"The result has {size:,} bytes as JSON, more than {MAX_RESULT_BYTES:,}. "
            "Write it to a file in the working directory, and give the task a directory for `outputs`."
        )
    return value
