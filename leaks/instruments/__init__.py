"""The instruments, from cheap to reliable. Each is a module with a function `hunt`."""

from collections.abc import Callable
from importlib import import_module

from leaks.report import Report
from leaks.run import Run

NAMES = ("gauge", "survivors", "lsan", "memray", "memcheck", "massif", "footprint")


def load_instrument(name: str) -> Callable[[Run], Report]:
    """The instrument of that name."""
    loaded: Callable[[Run], Report] = import_module(f"leaks.instruments.{name}").hunt
    return loaded
