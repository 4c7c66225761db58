"""Errors of the sandbox."""

from tasks.errors import ServiceUnavailable


class SandboxUnavailable(ServiceUnavailable):
    """This system cannot confine a process. Run `bulkhead doctor`: it names what is missing."""

    code = "sandbox-unavailable"
    transient = False
