"""Errors that end a render without a drawing."""

from tasks.errors import JobFailed, ServiceUnavailable
from workers.render.text import replace_surrogates, truncate_middle


class BlueprintError(JobFailed):
    """The source cannot be rendered in any attempt, so the job fails.

    `code` is stable for programs; `message` says what to do next.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(truncate_middle(replace_surrogates(message)))  # it may quote the drawing
        self.code = code


class EngineError(ServiceUnavailable):
    """This machine is not set up to render. The message says how to correct that."""

    code = "engine-unavailable"
    transient = False


class OutOfMemory(JobFailed):
    """The drawing needs more memory than a render may use. Choose a smaller width, or split the drawing."""

    code = "out-of-memory"
