#!/bin/sh
# Runs only massif: the contents of the heap at its peak, by stack.
#
#     sh profiling/massif.sh FILE|MODULE:FUNCTION [JOBS] [flags of massif]
#     sh profiling/massif.sh tests.leaks.planted:clone 20 --pages-as-heap=yes
#
# Writes massif.out and prints it. It names the functions that allocated: a cloned wand is listed with the calls that
# filled it. With --pages-as-heap=yes it counts every mapped page and charges the call that made the heap grow, so that
# the clone is not listed. Neither shows which function leaked a block, nor in which job. Jobs run ten to thirty times
# slower.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1 jobs=${2:-20}
shift; [ $# -eq 0 ] || shift
PYTHONMALLOC=malloc PYTHONHASHSEED=0 valgrind --tool=massif --quiet --massif-out-file=massif.out --depth=30 \
    --threshold=0.1 --peak-inaccuracy=0.0 "$@" "${PYTHON:-python}" "$here/jobs.py" "$target" "$jobs"
ms_print massif.out
