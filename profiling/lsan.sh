#!/bin/sh
# Runs only LeakSanitizer: like memcheck, at a tenth of its cost. Exit code 23 if there is a leak.
#
#     sh profiling/lsan.sh FILE|MODULE:FUNCTION [JOBS]
#
# The library is preloaded, but not into programs that jobs start (see jobs.py). It stops the process to search for
# pointers, so it does not work under a debugger or strace.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=$(ls /usr/lib/*/liblsan.so.0 2>/dev/null | head -n 1)
[ -n "$library" ] || { echo "liblsan.so.0 is missing: apt-get install liblsan0" >&2; exit 3; }
PYTHONMALLOC=malloc PYTHONHASHSEED=0 LD_PRELOAD=$library \
    LSAN_OPTIONS="fast_unwind_on_malloc=0:malloc_context_size=24:suppressions=$here/suppressions/lsan.supp" \
    "${PYTHON:-python}" "$here/jobs.py" "$1" "${2:-20}"
