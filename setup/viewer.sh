#!/bin/sh
# Builds the viewer (web/viewer) into web/viewer/dist with the exact packages of its lock file.
# The new build is complete before it replaces the old one.
set -eu
cd "$(dirname "$0")/../web/viewer"

if ! command -v npm >/dev/null; then
    echo "Building the viewer needs Node 18 or newer and npm. On Debian: apt-get install nodejs npm, then run make again." >&2
    exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch" dist.new' EXIT

# fail WHAT: the end of the log, and what to do
fail() {
    tail -n 30 "$scratch/log" >&2
    echo "$1. Correct what is reported above and run make again." >&2
    exit 1
}

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "Installing the build tools of the viewer"
    # A pipeline reports the exit code of its last command only, so a file reports a failure of npm.
    { npm ci --ignore-scripts --loglevel http || : >"$scratch/failed"; } 2>&1 | tee "$scratch/log" |
        sed -un 's/^npm http .*\/\([^/ ]*\)\.tgz.*/\1/p' |
        sh ../../setup/progress.sh npm "$(grep -c '"integrity":' package-lock.json)"
    [ ! -e "$scratch/failed" ] || fail "npm could not install them: check the network and npm's configuration"
    touch node_modules/.package-lock.json
fi
echo "Building the viewer"
npm run --silent build -- --outDir dist.new --emptyOutDir >"$scratch/log" 2>&1 || fail "The viewer does not build"
rm -rf dist.old
[ ! -e dist ] || mv dist dist.old
mv dist.new dist
rm -rf dist.old
touch dist/index.html
