"""`python -m tests.hostile.render_batch OPTIONS SOURCE OUT [SOURCE OUT ...]`: render like a warm worker.

Runs the sandboxed child's program for each source, between two lines on standard output: `{"source": ...}` before
and `{"source": ..., "status": ...}` after it.
"""

import json
import os
import sys
from contextlib import suppress

from workers.render.__main__ import FAILED, main

if __name__ == "__main__":
    options, *paths = sys.argv[1:]
    reports = os.dup(sys.stdout.fileno())
    for source, out in zip(paths[::2], paths[1::2], strict=True):
        os.write(reports, json.dumps({"source": source}).encode() + b"\n")
        os.dup2(reports, sys.stdout.fileno())  # the program redirects it, since native code may print
        status = FAILED
        with suppress(Exception):  # reported as internal
            status = main(source, out, options, "0")
        os.write(reports, json.dumps({"source": source, "status": status}).encode() + b"\n")
