#!/bin/sh
# Reads one finished step a line from standard input and prints how far an installation is, in at most fifty lines:
#     setup/progress.sh PROGRAM TOTAL
# Two installations may run at the same time, so each line names its program and no line is overwritten.
set -eu

program=$1
total=$2
count=0
shown=0

while read -r step; do
    count=$((count + 1))
    [ "$count" -le "$total" ] || total=$count
    part=$((count * 50 / total))
    if [ "$part" -ne "$shown" ]; then
        printf '  %s %d/%d: %s\n' "$program" "$count" "$total" "$step"
        shown=$part
    fi
done
