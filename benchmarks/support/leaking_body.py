"""A body that leaks: `benchmarks.sandbox` runs it in the sandbox thousands of times."""

from collections.abc import Callable, Mapping
from typing import Any

_leaked: list[bytearray] = []


def leak(arguments: Mapping[str, Any], _report: Callable[[Mapping[str, Any]], None]) -> None:
    """Keep `bytes` of memory for good."""
    _leaked.append(bytearray(b"x") * int(arguments["bytes"]))
