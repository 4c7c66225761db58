"""The HTTP application. `create_app()` makes it, for uvicorn (`--factory`) and for tests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tasks import app as celery
from tasks.messaging.progress import ProgressMessage
from tasks.settings import Settings
from tasks.settings import settings as own_settings
from tasks.utils.sd_notify import notify
from web import problems
from web.dependencies import Services, open_services
from web.metrics import RequestMetricsMiddleware
from web.progress.job_poller import poll_jobs
from web.progress.listener import ProgressListener
from web.routes import admin, events, health, heartbeats, operations, outputs, renders, sensors, viewer
from web.submit.uploads import RenderRequest

VERSION = "0.1.0"
SUMMARY = "Blueprints in, layered WebP out."


def create_app(settings: Settings | None = None, services: Services | None = None) -> FastAPI:
    """The application over these settings. A test may pass services of its own; then nothing else is opened."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if services is not None:
            app.state.services = services
            yield
            return
        with ExitStack() as stack:
            house = stack.enter_context(open_services(settings or own_settings()))
            app.state.services = house
            loop = asyncio.get_running_loop()

            def hear(progress: ProgressMessage) -> None:
                loop.call_soon_threadsafe(house.progress_hub.publish, progress)

            listener = ProgressListener(celery, hear)
            listener.start()
            stack.callback(listener.stop)
            stack.callback(asyncio.create_task(poll_jobs(house)).cancel)
            gc.collect()
            gc.freeze()  # or each full collection goes through all that was imported, and every request waits 50 ms
            notify("READY=1")  # the socket listens already; of several processes the first one counts
            yield

    app = FastAPI(title="Bulkhead", version=VERSION, summary=SUMMARY, lifespan=lifespan, redoc_url=None)
    routers = [module.router for module in (renders, events, heartbeats, sensors, operations, admin, health, viewer)]
    routes = outputs.routes()
    app.router.routes += routes  # before all others, for nothing else is asked for so often
    for router in routers:
        app.include_router(router)
    problems.install_handlers(app, [*routes, *(route for router in routers for route in router.routes)])
    app.add_middleware(RequestMetricsMiddleware)
    app.openapi = lambda: build_openapi(app)  # type: ignore[method-assign]
    return app


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """OpenAPI as it truly is: every error is a problem, also those of validation."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = schema["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for model in (problems.ProblemDetails, RenderRequest):  # named by hand, so not found by FastAPI
            own = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs"))
            schemas[model.__name__] = own
        schemas.update(heartbeats.openapi_schemas())
        schema["paths"] = dict(sorted((schema["paths"] | outputs.openapi_paths()).items()))
        app.openapi_schema = schema
    return app.openapi_schema
