"""Ways in which a hunt ends without a verdict. Each text says what to do next."""


class HuntError(Exception):
    """A hunt that came to no verdict."""


class BadTarget(HuntError):
    """What should be hunted does not exist or cannot be called."""


class TargetFailed(HuntError):
    """A job raised, its process died, or time ran out."""


class ToolMissing(HuntError):
    """A program or library that the instrument needs is not installed."""

    def __init__(self, tool: str, package: str) -> None:
        super().__init__(f"{tool} is not installed. Run `make packages`, or `apt-get install {package}`.")
