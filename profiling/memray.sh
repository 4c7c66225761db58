#!/bin/sh
# Runs only memray: a flame graph of memory that was not freed, with Python and native frames in one stack.
#
#     sh profiling/memray.sh FILE|MODULE:FUNCTION [JOBS]
#
# Writes memray.bin and memray-leaks.html. It follows forks, and a capture survives os._exit and SIGKILL. It also
# shows tables that are built once as leaks: look for sizes that are a multiple of the number of jobs. It does not see
# malloc called through ctypes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PYTHONHASHSEED=0 "${PYTHON:-python}" -m memray run --native --follow-fork --force --output memray.bin \
    "$here/jobs.py" "$1" "${2:-20}"
"${PYTHON:-python}" -m memray flamegraph --leaks --force --output memray-leaks.html memray.bin
