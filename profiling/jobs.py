"""`python profiling/jobs.py FILE|MODULE:FUNCTION [JOBS]`: runs the jobs of a hunt under an external tool.

The other scripts in this folder start it with their tools. Libraries that a tool preloads are not loaded into programs
that jobs start.
"""

import os
import sys
from pathlib import Path


def main(target: str, jobs: str = "20") -> None:
    """Run the job `jobs` times, without freeing afterwards anything that a job did not free."""
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
