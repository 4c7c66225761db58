"""Renders in a real sandbox, for tests."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from tasks.plan import Plan, plan
from tasks.renders import RenderOptions
from workers.render.sandboxed import ZYGOTE, Rendered, RenderRequest, render_sandboxed
from workers.sandbox.reports import Progress
from workers.sandbox.runner import Outcome, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote

MIB = 1024**2
LIMITS = Limits(memory=512 * MIB, cpu=60)


class RenderSandbox:
    """A zygote that has loaded the engine. `outcomes` and `progress` are those of the last render."""

    def __init__(self, zygote: Zygote) -> None:
        self.zygote = zygote
        self.limits = LIMITS
        self.outcomes: list[Outcome] = []
        self.progress: list[Progress] = []
        self._listener: Callable[[Progress], None] = lambda _progress: None

    def run(self, job: SandboxJob) -> Outcome:
        """Run one process, as `render_sandboxed` and `convert_dwg` need it."""
        self.outcomes.append(run(self.zygote, job, self.limits, on_progress=self._on_progress))
        return self.outcomes[-1]

    @property
    def pid(self) -> int:
        """The process that renders: the one that has used most processor time."""
        children = psutil.Process(self.zygote.pid).children()
        return max(children, key=lambda child: sum(child.cpu_times()[:2])).pid

    def _on_progress(self, progress: Progress) -> None:
        self.progress.append(progress)
        self._listener(progress)

    def render(
        self,
        source: Path,
        work: Path,
        *,
        planned: Plan | None = None,
        dwg_converter: str = "",
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        **options: Any,
    ) -> Rendered:
        """Plan and render a drawing."""
        self._listener = on_progress
        self.outcomes.clear()
        self.progress.clear()
        chosen = RenderOptions.model_validate({"width": 512, **options})
        planned = planned or plan(source, width=chosen.width, tiles=chosen.tiles)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        return render_sandboxed(self.run, RenderRequest(source, chosen, planned, digest, dwg_converter), work)


@contextmanager
def render_sandbox(**options: Any) -> Iterator[RenderSandbox]:
    """A sandbox with the options of renders and, in addition, `options` of ZygoteOptions."""
    zygote = Zygote(replace(ZYGOTE, **options) if options else ZYGOTE)
    zygote.start()
    try:
        yield RenderSandbox(zygote)
    finally:
        zygote.close()
