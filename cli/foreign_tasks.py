"""A command of Celery that exists for its side effect: `celery -A tasks` names the `tasks` that it is going to import.

Celery looks in the current directory first. Where that holds somebody else's tasks.py, Celery reports only that the
module has no app, or runs the wrong one. Celery loads its plugins before it imports the app.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]


def foreign_tasks(arguments: Sequence[str], directory: Path) -> Path | None:
    """The `tasks` that `celery -A tasks` imports from `directory`, unless it is ours."""
    for position, argument in enumerate(arguments):
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        app = following if argument in {"-A", "--app"} else argument.removeprefix("--app=")
        if (app.partition(".")[0].partition(":")[0]) == "tasks" and argument.startswith(("-A", "--app")):
            for candidate in (directory / "tasks" / "__init__.py", directory / "tasks.py"):
                if candidate.exists() and candidate.resolve().parents[1] != ROOT:
                    return candidate
    return None


def warning(foreign: Path) -> str:
    """What to print about somebody else's `tasks`."""
    return (
        f"Celery imports {foreign}, which is not Bulkhead's `tasks` ({ROOT / 'tasks'}). Start it in another directory, "
        f"or with `{sys.executable} -P -m tasks` in place of `celery -A tasks`."
    )


@click.command("bulkhead", hidden=True)
def command() -> None:
    """Print which `tasks` belongs to Bulkhead."""
    click.echo(ROOT / "tasks")


# `python -m tasks` has imported ours by now, whatever the current directory holds.
if "tasks" not in sys.modules and (_foreign := foreign_tasks(sys.argv[1:], Path.cwd())) is not None:
    click.echo(warning(_foreign), err=True)
