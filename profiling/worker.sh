#!/bin/sh
# Runs a Celery worker whose renders are under memray, to see what they allocate and do not free.
#
#     sh profiling/worker.sh FOLDER [options of celery worker]
#     sh profiling/worker.sh captures -Q render -c 1
#
# Writes FOLDER/render.bin for the process that renders are forked from and FOLDER/render.bin.PID for each render. memray
# opens a capture right after the fork, before the render is confined. The capture is complete, no matter whether the
# render ends (os._exit) or is killed by a signal. With --aggregate it is not, because memray then writes only at the
# end. Then, for each render:
#
#     python -m memray flamegraph --leaks FOLDER/render.bin.PID
set -eu
python=${PYTHON:-python}
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
export BULKHEAD_SANDBOX_INTERPRETER="'$python' -P -m memray run --native --follow-fork --force \
    --output '$folder/render.bin'"
exec "$python" -m celery -A tasks worker "$@"
