#!/bin/sh
# A Celery worker under memray, with its prefork children: what renders allocate and keep, in the process that does them.
#
#     sh profiling/worker.sh FOLDER [Celery's options for a worker]
#     sh profiling/worker.sh captures -Q render -c 1
#
# Writes FOLDER/worker.bin for the parent and FOLDER/worker.bin.PID for each child. A child's capture is whole up to its
# last moment however it ends: recycled (os._exit), killed by a signal or by the kernel. Not with --aggregate, which
# writes at the end. Captures grow by some megabytes a render. Then, for each child:
#
#     python -m memray flamegraph --leaks FOLDER/worker.bin.PID
set -eu
folder=$1
shift
mkdir -p "$folder"
exec "${PYTHON:-python}" -m memray run --native --follow-fork --force --output "$folder/worker.bin" \
    -m celery -A tasks worker "$@"
