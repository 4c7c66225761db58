#!/bin/sh
# memcheck alone: what nothing points to at the end, by the stack that lost it. Exit code 99 if anything is lost.
#
#     sh profiling/memcheck.sh FILE|MODULE:FUNCTION [JOBS] [memcheck's own flags]
#
# Few jobs are enough: a true leak is lost a whole multiple of their number. What a list or cache still points to is no
# loss to it. Jobs run twenty times slower, sixty with --undef-value-errors=yes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1 jobs=${2:-5}
shift; [ $# -eq 0 ] || shift
PYTHONMALLOC=malloc PYTHONHASHSEED=0 valgrind --tool=memcheck --leak-check=full --errors-for-leak-kinds=definite \
    --show-leak-kinds=definite --error-exitcode=99 --undef-value-errors=no --num-callers=32 \
    --suppressions="$here/suppressions/python.supp" --suppressions="$here/suppressions/imagemagick.supp" "$@" \
    "${PYTHON:-python}" "$here/jobs.py" "$target" "$jobs"
