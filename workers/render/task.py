"""`render.blueprint`: parse, claim, call the engine, record."""

import hashlib
import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery.signals import worker_init, worker_process_init

from tasks import app, renders
from tasks.jobs import Job, LedgerError, State
from tasks.jobs.routing import choose_queue, memory_limit_of
from tasks.jobs.webhook_outbox import WebhookPublisher, publish_pending_webhooks
from tasks.messaging.connections import PublishError
from tasks.messaging.topology import LARGE, RENDER
from tasks.plan import PlanError, check_memory_limit, plan
from tasks.storage import MANIFEST, ObjectNotFound
from workers.render import BlueprintError, EngineError, Step, render
from workers.render.native import preload, prepare
from workers.runtime.context import worker_context
from workers.runtime.job_run import JobError, JobRun, Requeue, Result, run_job
from workers.runtime.request import JobTask
from workers.sandbox.limits import apply_limits

logger = logging.getLogger(__name__)

# Libraries that log every step they take, dozens of lines a job: an operator wants to see their warnings only.
VERBOSE_LOGGERS = ("ezdxf", "pyvips")


@worker_init.connect
def prepare_parent(**_signal: Any) -> None:
    """Load in the parent what every child would load anew."""
    preload()


@worker_process_init.connect
def prepare_child(**_signal: Any) -> None:
    """Put a new child inside its limits and load the engine, so that the first job need not wait for it."""
    chosen = worker_context()
    apply_limits(niceness=chosen.settings.child_niceness)
    for name in VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    chosen.remove_stale_files()
    with suppress(OSError):  # a full disk: then as usual
        tempfile.tempdir = str(
            chosen.create_temp_dir()
        )  # what a child that is killed leaves in it, the next one sweeps
    with suppress(EngineError):  # the first job says so, in its own story
        prepare()


@app.task(name=renders.TASK, base=JobTask)
def render_blueprint(**fields: Any) -> None:
    """Render one blueprint. `fields` are those of RenderMessage; the guard has checked them."""
    message = renders.RenderMessage.model_validate(fields)
    now = time.time()
    job = Job(
        id=message.job,
        tenant=message.tenant,
        state=State.QUEUED,
        source=message.source,
        filename=message.filename,
        options=message.options.model_dump(),
        traceparent=message.traceparent,
        created_at=now,
        updated_at=now,
        queue=(render_blueprint.request.delivery_info or {}).get("routing_key") or RENDER,
        webhook=message.webhook,
        webhook_pending=bool(message.webhook and worker_context().settings.webhook_hosts),
    )
    try:
        run_job(worker_context(), job, _render)
    finally:
        if message.webhook:
            _publish_webhooks()


def _publish_webhooks() -> None:
    """Tell who waits for the end, at once if that is possible; else the next sweep does."""
    tools = worker_context()
    publisher = WebhookPublisher(app, tools.settings.publish_timeout)
    try:
        publish_pending_webhooks(tools.ledger, publisher)
    except (PublishError, LedgerError) as error:
        logger.warning("The sweep will tell of the end: %s", error)
    finally:
        publisher.close()


def _render(run: JobRun) -> Result:
    message = renders.render_message(run.job)  # the ledger's word counts, should a message with this id say otherwise
    store, settings = run.context.store, run.context.settings
    run.report_progress(0, "plan")
    try:
        with store.as_file(message.source) as source:
            with source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            key = renders.artifact_key(settings.secret.get_secret_value(), message.tenant, digest, message.options)
            prefix = renders.artifact_prefix(message.tenant, key)
            if store.exists(f"{prefix}/{MANIFEST}"):
                return Result(key, {"reused": True})
            _check_plan(run, source, message, digest)
            _render_and_publish(run, source, key, message)
    except ObjectNotFound as error:
        raise JobError("source-missing", "The blueprint is no longer in the store. Send it again.") from error
    return Result(key)


def _check_plan(run: JobRun, source: Path, message: renders.RenderMessage, digest: str) -> None:
    options, settings, queue = message.options, run.context.settings, run.job.queue
    try:
        planned = plan(source, message.filename, width=options.width, tiles=options.tiles, page=options.page)
        if queue != LARGE == choose_queue(options, planned.peak_bytes, settings):
            check_memory_limit(planned, memory_limit_of(LARGE, settings))
            raise Requeue("rerouted", "It needs more memory than this lane has: it goes on in render.large.", LARGE)
        check_memory_limit(planned, memory_limit_of(queue, settings))
    except PlanError as error:
        raise JobError(error.code, str(error)) from error
    run.record_plan(digest=digest, size=planned.size, plan=planned.as_dict())


def _render_and_publish(run: JobRun, source: Path, key: str, message: renders.RenderMessage) -> None:
    def tell(step: Step) -> None:
        run.report_progress(step.percent, step.stage, step.layer)

    bench, options = run.context, message.options
    # Tiles of a large sheet are minutes of work: what a killed attempt has cut is not cut again.
    with bench.resumable_work_dir(key) if options.tiles else bench.work_dir() as out:
        try:
            render(source, out, options, progress=tell)
        except BlueprintError as error:
            raise JobError(error.code, str(error)) from error
        except EngineError as error:
            raise Requeue("engine-unavailable", str(error)) from error
        bench.store.publish_tree(out, renders.artifact_prefix(message.tenant, key))
