#!/bin/sh
# Runs a Celery worker and its prefork children under memray, to see what renders allocate and do not free.
#
#     sh profiling/worker.sh FOLDER [options of celery worker]
#     sh profiling/worker.sh captures -Q render -c 1
#
# Writes FOLDER/worker.bin for the parent and FOLDER/worker.bin.PID for each child. The capture of a child is
# complete, no matter whether it is recycled (os._exit) or killed by a signal. With --aggregate it is not, because memray
# then writes only at the end. Captures grow by some megabytes per render. Then, for each child:
#
#     python -m memray flamegraph --leaks FOLDER/worker.bin.PID
set -eu
folder=$1
shift
mkdir -p "$folder"
exec "${PYTHON:-python}" -m memray run --native --follow-fork --force --output "$folder/worker.bin" \
    -m celery -A tasks worker "$@"
