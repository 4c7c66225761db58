"""Ways in which a render ends without a drawing."""

from workers.render.text import replace_surrogates, truncate_middle


class BlueprintError(Exception):
    """The source cannot be rendered, now or ever: the job fails and is not retried.

    `code` is stable for programs; `message` tells a person what to do next.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = truncate_middle(replace_surrogates(message))  # it may quote the drawing
        super().__init__(self.message)


class EngineError(RuntimeError):
    """This machine is not set up to render; the drawing is not to blame. The message says how to mend it."""
