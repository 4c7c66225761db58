"""Settings: renders, their limits and the workers that run them."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from tasks.utils.units import GIB, MIB


class WorkerSettings(BaseSettings):
    """Renders and workers"""

    memory_limit: int = Field(
        512 * MIB,
        ge=128 * MIB,
        description="Memory limit of a render, bytes. `MemoryMax=` of the workers' units must be 256 MiB more.",
    )
    large_memory_limit: int | None = Field(
        None,
        ge=128 * MIB,
        description="Memory limit of a render in the queue `render.large`, bytes. Renders that need more than "
        "BULKHEAD_MEMORY_LIMIT use this queue. Unset: they are rejected.",
    )
    render_time_limit: int = Field(
        300,
        ge=1,
        description="Time limit of a render, seconds of its own processor time. What a slow host takes does not count.",
    )
    render_idle_limit: float = Field(
        180,
        gt=0,
        description="Seconds after which a render hangs that neither computes nor makes progress.",
    )
    render_wall_limit: float = Field(
        1500,
        gt=0,
        le=1500,
        description="Seconds after which a render is requeued because its host is too slow. RabbitMQ takes a message "
        "back after 30 minutes.",
    )
    render_disk_limit: int = Field(
        8 * GIB, ge=64 * MIB, description="Bytes that a render may write to disk, outputs and temporary files together."
    )
    sandbox: Literal["required", "best-effort"] | None = Field(
        None,
        description="`required`: workers and `bulkhead render` do not start on a system that lacks a control of the "
        "sandbox, such as Landlock. `best-effort`: they warn and go without it. Unset: `required`, unless "
        "BULKHEAD_HOST is a loopback address.",
    )
    max_crashes: int = Field(
        3, ge=1, le=10, description="Crashes caused by the job itself after which it is dead and no longer retried."
    )
    lease: float = Field(
        30,
        ge=1,
        description="Seconds for which a worker's lease on a job is valid. The worker renews it after every third "
        "of this time.",
    )
    max_jobs_per_child: int = Field(50, ge=1, description="Number of jobs after which a child process is replaced.")
    max_child_age: float = Field(
        3600, gt=0, description="Age at which a child process is replaced after its job, seconds."
    )
    max_child_memory_growth: int = Field(
        64 * MIB,
        ge=16 * MIB,
        description="Memory growth at which a child process is replaced after its job, bytes. Up to 40 MiB of "
        "growth is normal: libraries that have been loaded and caches that have been filled.",
    )
    leak_sample_every: int = Field(
        100,
        ge=0,
        description="Every Nth render is repeated three times to measure what it leaves on the heap; this is N. While "
        "renders of its format are suspected of leaking, memray records it (extra `bulkhead[leaks]`). Reports are "
        "stored below `leaks/`. 0: never.",
    )
    sandbox_interpreter: str = Field(
        "",
        description="Command to run instead of Python for the process that renders are forked from. For developers: a "
        "profiler that follows forks, see `profiling/worker.sh`. Files that it opens stay open in renders. Unset: "
        "Python.",
    )
    child_niceness: int = Field(
        19,
        ge=0,
        le=19,
        description="Niceness of processes that render, so that the intake and the broker stay responsive beside them.",
    )
    presets: Annotated[dict[str, dict[str, bool | int | str]], NoDecode] = Field(
        default={}, description='Named render options, as JSON: `{"poster": {"width": 8192, "background": "dark"}}`.'
    )
    dwg_converter: str = Field(
        "",
        description="Command that converts DWG to DXF, with the placeholders {source} and {target}: `dwg2dxf -y -o "
        "{target} {source}`. It runs without a shell and within the render's memory limit. Unset: DWG is rejected.",
    )

    @field_validator("large_memory_limit")
    @classmethod
    def check_large_memory_limit(cls, large: int | None, info: ValidationInfo) -> int | None:
        """Reject a limit that is not larger than that of the other queues."""
        if large is not None and large <= info.data.get("memory_limit", 0):
            raise ValueError("it must be more than BULKHEAD_MEMORY_LIMIT")
        return large
