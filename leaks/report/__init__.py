"""The result of a hunt, and its formats: HTML for people; JSON and JUnit XML for programs."""

from dataclasses import dataclass, field
from pathlib import Path

from leaks.measurements import Measurements
from leaks.roots import AllocationSite, Root
from leaks.verdict import Verdict


@dataclass(slots=True)
class Report:
    """The result of one hunt. `roots` and `sites` are empty if there is no leak or the instrument cannot name it.

    `files` are the output files of the tools. `limitations` says what the instrument cannot see.
    """

    subject: str
    instrument: str
    verdict: Verdict
    jobs: int
    measurements: Measurements | None = None
    roots: list[Root] = field(default_factory=list)
    sites: list[AllocationSite] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    limitations: str = ""
    seconds: float = 0
