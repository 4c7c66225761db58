"""The target of a hunt: a blueprint to render or a function to call, as a job that can be run many times."""

import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaks.errors import BadTarget

# Large enough to render every detail, small enough for fifty jobs in seconds.
WIDTH = 512

Job = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """`target` is the path of a blueprint or `module:function`, called without arguments.

    `options` are render options; `then` is a `module:function` that is called after each render. An exception ends the
    hunt unless `errors` is true: then the hunt is for leaks on the error path.
    """

    target: str
    options: dict[str, Any]
    then: str = ""
    errors: bool = False

    @property
    def is_function(self) -> bool:
        """Whether it is `module:function` rather than a file."""
        return is_function(self.target)

    @property
    def name(self) -> str:
        """Its name in reports."""
        base = self.target if self.is_function else Path(self.target).name
        return f"{base} + {self.then}" if self.then else base


def is_function(target: str) -> bool:
    """Whether `target` has the form `module:function`. An existing file of that name takes precedence."""
    module, colon, function = target.partition(":")
    named = bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))
    return named and not Path(target).exists()


def resolve_job(subject: Subject) -> Job:
    """Load the job in the process that runs it. Raises BadTarget."""
    first = _function(subject.target) if subject.is_function else _render(Path(subject.target), subject.options)
    if not subject.then:
        return first
    second = _function(subject.then)

    def both() -> None:
        first()
        second()

    return both


def _function(name: str) -> Job:
    module, _, function = name.partition(":")
    try:
        loaded = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise BadTarget(
            f"{name} cannot be imported ({error}). Write module:function, importable from the current directory."
        ) from error
    if not callable(loaded):
        raise BadTarget(
            f"{name} is of type {type(loaded).__name__} and cannot be called. Name a function without arguments."
        )

    def job() -> None:
        loaded()

    return job


def _render(source: Path, options: dict[str, Any]) -> Job:
    from tasks.renders import RenderOptions
    from workers.render import render

    chosen = RenderOptions.model_validate({"width": WIDTH, **options})

    def job() -> None:
        with tempfile.TemporaryDirectory(prefix="bulkhead-hunt-") as folder:
            render(source, Path(folder), chosen)

    return job
