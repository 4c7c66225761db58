"""What may be asked, of whom, at what price: the contract between publishers and workers.

`celery -A tasks worker` and `celery -A tasks flower` find the app here; `from tasks import app` does, too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.application import app

__all__ = ["app"]


def __getattr__(name: str) -> object:
    """The app when it is first asked for: the bare engine does without Celery and its 20 MB."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tasks.application import app

    return app
