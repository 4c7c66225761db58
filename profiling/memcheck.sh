#!/bin/sh
# Runs only memcheck: blocks that nothing points to at the end, by stack. Exit code 99 if there is a leak.
#
#     sh profiling/memcheck.sh FILE|MODULE:FUNCTION [JOBS] [flags of memcheck]
#
# Few jobs are enough: the count of a real leak is a multiple of the number of jobs. Memory that a list or cache still
# points to is not reported. Jobs run twenty times slower, sixty times with --undef-value-errors=yes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1 jobs=${2:-5}
shift; [ $# -eq 0 ] || shift
PYTHONMALLOC=malloc PYTHONHASHSEED=0 valgrind --tool=memcheck --leak-check=full --errors-for-leak-kinds=definite \
    --show-leak-kinds=definite --error-exitcode=99 --undef-value-errors=no --num-callers=32 \
    --suppressions="$here/suppressions/python.supp" --suppressions="$here/suppressions/imagemagick.supp" "$@" \
    "${PYTHON:-python}" "$here/jobs.py" "$target" "$jobs"
