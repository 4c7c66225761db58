#!/bin/sh
# Resolves pyproject.toml into requirements/*.txt: exact versions with hashes for every platform, without index URLs.
# pip installs the resolver, uv, into a scratch directory, from the index that it is configured for.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$(sh setup/python.sh)" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
mkdir -p requirements

compile() {
    UV_CUSTOM_COMPILE_COMMAND="make pins" "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header "$@"
}

# Keeps pins that still satisfy pyproject.toml. `sh setup/pins.sh --upgrade` updates all of them.
compile pyproject.toml --extra s3 --group dev --output-file requirements/dev.txt "$@"
compile pyproject.toml --extra s3 --constraints requirements/dev.txt --output-file requirements/runtime.txt "$@"
compile --group build --constraints requirements/dev.txt --output-file requirements/build.txt "$@"
