"""The message of a claimed render is validated once, unless the ledger has other options."""

import uuid
from dataclasses import replace

from tasks.jobs import Job, State
from tasks.renders import RenderMessage, RenderOptions, source_key
from workers.render.task import _message_of

ID = str(uuid.uuid4())
MESSAGE = RenderMessage(job=ID, tenant="acme", source=source_key("acme", ID), options=RenderOptions(width=64))
JOB = Job(ID, "acme", State.QUEUED, MESSAGE.source, "", MESSAGE.options.model_dump(), created_at=1.0, updated_at=1.0)


def test_given_a_claimed_job_with_the_same_options_then_the_message_is_not_validated_again() -> None:
    assert _message_of(replace(JOB, state=State.RUNNING, attempt=1), JOB, MESSAGE) is MESSAGE


def test_given_a_claimed_job_with_other_options_then_those_of_the_ledger_apply() -> None:
    claimed = replace(JOB, options=RenderOptions(width=128).model_dump(), filename="plan.dxf")

    message = _message_of(claimed, JOB, MESSAGE)

    assert (message.options.width, message.filename) == (128, "plan.dxf")
