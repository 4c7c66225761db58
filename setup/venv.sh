#!/bin/sh
# Makes .venv and installs a pinned, hashed list of packages into it: setup/venv.sh runtime|dev
# The project itself is installed in place, so that .venv/bin/bulkhead runs what is in the tree.
set -eu
cd "$(dirname "$0")/.."

list="requirements/$1.txt"
pip=".venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps"

if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    python=$(sh setup/python.sh)
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        echo "$python could not make .venv. On Debian: apt-get install python3-venv, then run make again." >&2
        exit 1
    fi
fi

echo "Installing $list into .venv (a minute or two, once)"
if ! { $pip --require-hashes -r "$list" -r requirements/build.txt && $pip --no-build-isolation --editable .; }; then
    echo "pip could not install $list. Check the network or pip's own configuration and run make again." >&2
    exit 1
fi
touch .venv/.runtime ".venv/.$1"  # what dev holds is more than runtime asks for
