"""The task `render.blueprint`: claims the job, calls the engine and records the result."""

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
from tasks.jobs.messages import render_message
from tasks.jobs.routing import choose_queue, memory_limit_of
from tasks.messaging.connections import PublishError
from tasks.messaging.topology import LARGE, RENDER
from tasks.plan import Plan, PlanError, check_memory_limit, plan
from tasks.storage import MANIFEST, ObjectNotFound
from tasks.webhook_outbox import WebhookPublisher, publish_pending_webhooks
from workers.render import BlueprintError, EngineError, Step, render
from workers.render.native import preload, prepare
from workers.runtime.job_run import JobError, JobRun, Requeue, Result, run_job
from workers.runtime.request import JobTask
from workers.runtime.worker_context import worker_context
from workers.sandbox.limits import apply_limits

logger = logging.getLogger(__name__)

# Libraries that log each of their steps, dozens of lines a job. Operators need their warnings only.
VERBOSE_LOGGERS = ("ezdxf", "pyvips")


@worker_init.connect
def prepare_parent(**_signal: Any) -> None:
    """Load the modules that all children need."""
    preload()


@worker_process_init.connect
def prepare_child(**_signal: Any) -> None:
    """Limit a new child and load the engine, so that the first job need not wait for it."""
    context = worker_context()
    apply_limits(niceness=context.settings.child_niceness)
    for name in VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    context.remove_stale_files()
    with suppress(OSError):  # if the disk is full, the default directory is used
        # The next child removes the temporary files of a killed one.
        tempfile.tempdir = str(context.create_temp_dir())
    with suppress(EngineError):  # the first job reports it
        prepare()


@app.task(name=renders.TASK, base=JobTask)
def render_blueprint(**fields: Any) -> None:
    """Render one blueprint. `fields` are the fields of a RenderMessage."""
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
        run_job(worker_context(), job, lambda run: _render(run, _message_of(run.job, job, message)))
    finally:
        if message.webhook:
            _publish_webhooks()


def _message_of(claimed: Job, requested: Job, message: renders.RenderMessage) -> renders.RenderMessage:
    """The message of the claimed job. The ledger is authoritative, should it differ from the message received."""
    unchanged = (claimed.filename, claimed.options) == (requested.filename, requested.options)
    return message if unchanged else render_message(claimed)


def _publish_webhooks() -> None:
    """Publish the webhooks of finished jobs now. If that fails, maintenance publishes them."""
    context = worker_context()
    publisher = WebhookPublisher(app, context.settings.publish_timeout)
    try:
        publish_pending_webhooks(context.ledger, publisher)
    except (PublishError, LedgerError) as error:
        logger.warning("The webhook could not be published; maintenance publishes it later: %s", error)
    finally:
        publisher.close()


def _render(run: JobRun, message: renders.RenderMessage) -> Result:
    store, settings = run.context.store, run.context.settings
    run.report_progress(0, "plan")
    try:
        with store.as_file(message.source) as source:
            with source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            key = renders.artifact_key(
                settings.artifact_secret.get_secret_value(), message.tenant, digest, message.options
            )
            prefix = renders.artifact_prefix(message.tenant, key)
            if store.exists(f"{prefix}/{MANIFEST}"):
                return Result(key, {"reused": True})
            planned = _check_plan(run, source, message, digest)
            _render_and_publish(run, source, key, message, planned, digest)
    except ObjectNotFound as error:
        raise JobError("source-missing", "The blueprint is no longer in the store. Send it again.") from error
    return Result(key)


def _check_plan(run: JobRun, source: Path, message: renders.RenderMessage, digest: str) -> Plan:
    options, settings, queue = message.options, run.context.settings, run.job.queue
    try:
        planned = plan(source, message.filename, width=options.width, tiles=options.tiles, page=options.page)
        if queue != LARGE == choose_queue(options, planned.peak_bytes, settings):
            check_memory_limit(planned, memory_limit_of(LARGE, settings))
            raise Requeue(
                "rerouted",
                "It needs more memory than renders of this queue may use. It continues in the queue render.large.",
                LARGE,
            )
        check_memory_limit(planned, memory_limit_of(queue, settings))
    except PlanError as error:
        raise JobError(error.code, str(error)) from error
    run.record_plan(digest=digest, size=planned.size, plan=planned.as_dict())
    return planned


def _render_and_publish(
    run: JobRun, source: Path, key: str, message: renders.RenderMessage, planned: Plan, digest: str
) -> None:
    def on_progress(step: Step) -> None:
        run.report_progress(step.percent, step.stage, step.layer)

    context, options = run.context, message.options
    # Tiles of a large drawing take minutes, so an attempt reuses the tiles of a killed one.
    with context.resumable_work_dir(key) if options.tiles else context.work_dir() as out:
        try:
            render(source, out, options, progress=on_progress, plan=planned, sha256=digest)
        except BlueprintError as error:
            raise JobError(error.code, error.message) from error
        except EngineError as error:
            raise Requeue(error.code, error.message) from error
        context.store.publish_tree(out, renders.artifact_prefix(message.tenant, key))
