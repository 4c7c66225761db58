"""Why a hunt ends without a verdict. Each text says what to do next."""

from tasks.errors import InvalidInput, JobFailed, ServiceUnavailable


class BadTarget(InvalidInput):
    """The target does not exist or cannot be called."""

    code = "bad-target"


class TargetFailed(JobFailed):
    """A job raised an exception, its process died, or it exceeded its time limit."""

    code = "target-failed"


class ToolMissing(ServiceUnavailable):
    """A program or library that the instrument needs is not installed."""

    code = "tool-missing"
    transient = False

    def __init__(self, tool: str, package: str) -> None:
        super().__init__(f"{tool} is not installed. Run `make packages`, or `apt-get install {package}`.")
