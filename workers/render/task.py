"""The task `render.blueprint`: claims the job, renders it in the sandbox, publishes the outputs, records the result."""

import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init

from tasks import app, renders
from tasks.jobs import Job, LedgerError, State
from tasks.jobs.messages import render_message
from tasks.jobs.routing import choose_queue, memory_limit_of
from tasks.messaging.connections import PublishError
from tasks.messaging.topology import LARGE, RENDER
from tasks.plan import Plan, PlanError, check_memory_limit, plan
from tasks.storage import MANIFEST, ObjectNotFound
from tasks.utils.files import sha256_of
from tasks.utils.parent_death import die_with_parent
from tasks.webhook_outbox import WebhookPublisher, publish_pending_webhooks
from workers.render.errors import BlueprintError, EngineError
from workers.render.sandboxed import ZYGOTE, RenderRequest, render_sandboxed
from workers.render.sandboxed.outputs import InvalidOutput
from workers.runtime.attempt import JobError, JobRun, Requeue, Result
from workers.runtime.extensions.request import JobTask
from workers.runtime.job_run import run_job
from workers.runtime.leak_sampling import sample_leaks
from workers.runtime.worker_context import worker_context
from workers.runtime.worker_zygote import extend_zygote

logger = logging.getLogger(__name__)

extend_zygote(*ZYGOTE.preload, rehearse=ZYGOTE.rehearse)


@worker_process_init.connect
def prepare_child(**_signal: Any) -> None:
    """Prepare a new worker child, and remove what killed ones left behind."""
    context = worker_context()
    die_with_parent()
    context.remove_stale_files()
    with suppress(OSError):  # if the disk is full, the default directory is used
        # The next child removes the temporary files of a killed one.
        tempfile.tempdir = str(context.create_temp_dir())


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
            digest = sha256_of(source)
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
    context, options = run.context, message.options
    request = RenderRequest(source, options, planned, digest, context.settings.dwg_converter)
    # Tiles of a large drawing take minutes, so an attempt reuses the tiles of a killed one.
    with context.resumable_work_dir(key) if options.tiles else context.work_dir() as work:
        try:
            rendered = render_sandboxed(run.run_in_sandbox, request, work)
        except (BlueprintError, InvalidOutput) as error:
            raise JobError(error.code, error.message) from error
        except EngineError as error:
            raise Requeue(error.code, error.message) from error
        context.store.publish_tree(rendered.out, renders.artifact_prefix(message.tenant, key))
        run.usage.set_residue({**rendered.residue, **sample_leaks(run, rendered.sampling)})
