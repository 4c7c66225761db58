"""The contract between publishers and workers: messages, queues, settings, the ledger and the store.

`celery -A tasks worker`, `celery -A tasks flower` and `from tasks import app` find the Celery app here.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.application import app

__all__ = ["app"]


def __getattr__(name: str) -> object:
    """Import the app on first use: the render engine alone does not need Celery and its 20 MiB."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tasks.application import app

    return app
