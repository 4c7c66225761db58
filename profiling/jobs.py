"""`python profiling/jobs.py FILE|MODULE:FUNCTION [JOBS]`: the bare jobs of a hunt, for a tool that watches them.

The scripts beside this one put their tool before it. What a tool preloads stays out of programs that jobs start.
"""

import os
import sys
from pathlib import Path


def main(target: str, jobs: str = "20") -> None:
    """Run the job so many times, then end without freeing anything that a job did not."""
    from leaks.target import Subject, resolve_job

    os.environ.pop("LD_PRELOAD", None)
    job = resolve_job(Subject(target, {}))
    for _ in range(int(jobs)):
        job()
    sys.stdout.flush()


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.path.append(str(Path.cwd()))
    main(*sys.argv[1:])
