"""What a hunt hands back, and the forms in which people and machines read it: HTML, JSON, JUnit."""

from dataclasses import dataclass, field
from pathlib import Path

from leaks.roots import AllocationSite, Root
from leaks.samples import Samples
from leaks.verdict import Verdict


@dataclass(slots=True)
class Report:
    """One hunt. `roots` and `places` are empty where nothing was lost or the instrument cannot name it.

    `files` are what the tools themselves wrote. `blind` says what the instrument cannot see.
    """

    subject: str
    instrument: str
    verdict: Verdict
    jobs: int
    samples: Samples | None = None
    roots: list[Root] = field(default_factory=list)
    sites: list[AllocationSite] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    limitations: str = ""
    seconds: float = 0
