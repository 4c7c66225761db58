"""One of the processes that serve: `create()` makes its application, for uvicorn (`--factory`)."""

from __future__ import annotations

import multiprocessing

from fastapi import FastAPI

from tasks.lifeline import end_with_parent
from web.app import create_app


def create() -> FastAPI:
    """The application. Where several processes serve, none outlives the one that started them."""
    if multiprocessing.parent_process():
        end_with_parent()
    return create_app()
