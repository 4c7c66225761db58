"""Ways in which a command ends badly. `bulkhead.main` prints the sentence and leaves with the exit code."""


class CommandError(Exception):
    """A command that ends badly. The text is one sentence or two: what is wrong, and what to do next."""

    exit_code = 1

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class JobFailed(CommandError):
    """The job was tried and failed."""

    exit_code = 1


class BadInput(CommandError):
    """What was asked for cannot be done."""

    exit_code = 2


class ServiceUnavailable(CommandError):
    """Something that the platform needs is not there."""

    exit_code = 3
