"""How a sandboxed task fails. Every result backend can store these errors: their arguments are JSON."""

from workers.sandbox.causes import Cause


class SandboxedTaskError(Exception):
    """The function raised an error, or the program reported one.

    `type` is the name of the error, `message` its text, and `text` the traceback or the program's standard error.
    """

    def __init__(self, type: str, message: str, text: str = "") -> None:  # noqa: A002 - the field's name
        super().__init__(type, message, text)
        self.type, self.message, self.text = type, message, text

    def __str__(self) -> str:
        """The error as Python prints it, and the traceback."""
        return "\n".join(filter(None, [f"{self.type}: {self.message}", self.text]))


class SandboxedProcessDied(Exception):
    """The process died: it crashed, or was stopped at one of its limits. `cause` and `explanation` tell how."""

    def __init__(self, cause: str, explanation: str) -> None:
        super().__init__(str(cause), explanation)
        self.cause, self.explanation = Cause(cause), explanation

    def __str__(self) -> str:
        """The explanation."""
        return self.explanation


class SandboxedProcessInterrupted(SandboxedProcessDied):
    """The process was killed from outside, or its host was too slow: not the task's fault, so it may be retried."""
