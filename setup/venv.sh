#!/bin/sh
# Creates .venv and installs a pinned, hashed list of requirements into it: setup/venv.sh runtime|dev
# The project itself is installed in place, so that .venv/bin/bulkhead runs the code of this tree.
set -eu
cd "$(dirname "$0")/.."

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(sh setup/python.sh)
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        echo "$python could not create .venv. On Debian: apt-get install python3-venv, then run make again." >&2
        exit 1
    fi
fi

if ! sh setup/pip.sh .venv "requirements/$1.txt" --editable; then
    echo "pip could not install requirements/$1.txt. Check the network and pip's configuration, then run make again." >&2
    exit 1
fi
touch .venv/.runtime ".venv/.$1" # dev includes all of runtime
