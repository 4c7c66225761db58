"""The instruments, from cheap to sure: one module each, with a function `hunt`."""

from collections.abc import Callable
from importlib import import_module

from leaks.report import Report
from leaks.run import Run

NAMES = ("gauge", "survivors", "lsan", "memray", "memcheck", "massif", "footprint")


def load_instrument(name: str) -> Callable[[Run], Report]:
    """The instrument of that name."""
    found: Callable[[Run], Report] = import_module(f"leaks.instruments.{name}").hunt
    return found
