"""The HTTP application. `create_app()` builds it, for uvicorn and for tests."""

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
from tasks.settings import settings as read_settings
from tasks.utils.sd_notify import notify
from web import problems
from web.dependencies import Services, open_services
from web.metrics import RequestMetricsMiddleware
from web.progress.job_poller import poll_jobs
from web.progress.listener import ProgressListener
from web.routes import admin, events, health, heartbeats, operations, outputs, renders, sensors, viewer
from web.submit.uploads import RenderRequest
from web.watchdog import run_watchdog

VERSION = "0.1.0"
SUMMARY = "Renders blueprints to layered WebP."


def create_app(settings: Settings | None = None, services: Services | None = None) -> FastAPI:
    """Create the application. If `services` are passed, as tests do, nothing else is opened."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if services is not None:
            app.state.services = services
            yield
            return
        with ExitStack() as stack:
            opened = stack.enter_context(open_services(settings or read_settings()))
            app.state.services = opened
            loop = asyncio.get_running_loop()

            def publish(progress: ProgressMessage) -> None:
                loop.call_soon_threadsafe(opened.progress_hub.publish, progress)

            listener = ProgressListener(celery, publish)
            listener.start()
            stack.callback(listener.stop)
            stack.callback(asyncio.create_task(poll_jobs(opened)).cancel)
            gc.collect()
            gc.freeze()  # otherwise full collections traverse all imported modules and block every request for 50 ms
            notify("READY=1")  # the socket is already listening; systemd uses the first of several notifications
            stack.callback(asyncio.create_task(run_watchdog()).cancel)
            yield
            if opened.readings:
                await opened.readings.close()

    app = FastAPI(title="Bulkhead", version=VERSION, summary=SUMMARY, lifespan=lifespan, redoc_url=None)
    routers = [module.router for module in (renders, events, heartbeats, sensors, operations, admin, health)]
    output_routes, viewer_routes = outputs.routes(), viewer.routes()
    app.router.routes += output_routes  # first, because outputs are requested most often
    for router in routers:
        app.include_router(router)
    app.router.routes += viewer_routes
    problems.install_handlers(
        app, [*output_routes, *viewer_routes, *(route for router in routers for route in router.routes)]
    )
    app.add_middleware(RequestMetricsMiddleware)
    app.openapi = lambda: build_openapi(app)  # type: ignore[method-assign]
    return app


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI schema, in which every error is a problem document, validation errors included."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = schema["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for model in (problems.ProblemDetails, RenderRequest):  # referenced by name only, so FastAPI does not add them
            component = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(component.pop("$defs"))
            schemas[model.__name__] = component
        schemas.update(heartbeats.openapi_schemas())
        schema["paths"] = dict(sorted((schema["paths"] | outputs.openapi_paths()).items()))
        app.openapi_schema = schema
    return app.openapi_schema
