#!/bin/sh
# massif alone: what the heap holds at its peak, by stack.
#
#     sh profiling/massif.sh FILE|MODULE:FUNCTION [JOBS] [massif's own flags]
#     sh profiling/massif.sh tests.leaks.planted:clone 20 --pages-as-heap=yes
#
# Writes massif.out and prints it. Plain, it names who allocated: a cloned wand is there, with the calls that filled it.
# With --pages-as-heap=yes it counts every mapped page, and charges whoever made the heap grow: the clone is not there.
# Either way it cannot tell who lost a block, nor which job it is from. Jobs run ten to thirty times slower.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1 jobs=${2:-20}
shift; [ $# -eq 0 ] || shift
PYTHONMALLOC=malloc PYTHONHASHSEED=0 valgrind --tool=massif --quiet --massif-out-file=massif.out --depth=30 \
    --threshold=0.1 --peak-inaccuracy=0.0 "$@" "${PYTHON:-python}" "$here/jobs.py" "$target" "$jobs"
ms_print massif.out
