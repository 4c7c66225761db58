#!/bin/sh
# Installs pinned, hashed requirements and then the project into a virtual environment:
#     setup/pip.sh ENVIRONMENT REQUIREMENTS [--editable]
set -eu
cd "$(dirname "$0")/.."

environment=$1
requirements=$2
shift 2
pip="$environment/bin/python -m pip install --disable-pip-version-check --no-deps --progress-bar off"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# install: the output of pip; a pipeline reports the exit code of its last command only, so a file reports a failure
install() {
    $pip --require-hashes -r "$requirements" -r requirements/build.txt && $pip --no-build-isolation "$@" . || : >"$scratch/failed"
}

echo "Installing $requirements into $environment"
total=$(cat "$requirements" requirements/build.txt | grep -c '^[^ #]')
install "$@" 2>&1 | tee "$scratch/log" | sed -un -e 's/^Collecting \([^ ]*\)==\([^ ]*\).*/\1 \2/p' \
    -e 's/^Requirement already satisfied: \([^ ]*\)==\([^ ]*\).*/\1 \2/p' -e 's/^Ignoring \([^ ]*\): .*/\1/p' \
    -e 's/^Processing .*\/\([^/-]*\)-\([^/-]*\)-[^/]*\.whl.*/\1 \2/p' -e 's/^Installing collected packages:.*/unpacking/p' |
    sh setup/progress.sh pip $((total + 2))
if [ -e "$scratch/failed" ]; then
    tail -n 20 "$scratch/log" >&2
    exit 1
fi
