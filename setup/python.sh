#!/bin/sh
# Prints the name of a Python interpreter that is new enough, or what to install.
# Prefers Debian's: it is built with profile-guided optimisation. A plain build, such as pyenv's default, takes more than
# twice as long for the same work.
set -eu

for python in "${PYTHON:-/usr/bin/python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
echo "Bulkhead needs Python 3.11 or newer; python3 here is $(python3 --version 2>&1 || echo missing)." >&2
echo "Install it (Debian 12: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11 ..." >&2
exit 1
