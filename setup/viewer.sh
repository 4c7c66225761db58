#!/bin/sh
# Builds the viewer (web/viewer) into web/viewer/dist, with the exact packages of its lock file.
# The new build is complete before it takes the old one's place.
set -eu
cd "$(dirname "$0")/../web/viewer"

if ! command -v npm >/dev/null; then
    echo "The viewer is built with Node 18 or newer and npm. On Debian: apt-get install nodejs npm, then run make again." >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -rf "$log" dist.new' EXIT

# run WHAT COMMAND...: says what it did only if it fails
run() {
    what=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        echo "$what. Mend what it says above and run make again." >&2
        exit 1
    fi
}

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "Installing the viewer's build tools (half a minute, once)"
    run "npm could not install them: check the network or npm's own configuration" npm ci --ignore-scripts
    touch node_modules/.package-lock.json
fi
echo "Building the viewer"
run "The viewer does not build" npm run --silent build -- --outDir dist.new --emptyOutDir
rm -rf dist.old
[ ! -e dist ] || mv dist dist.old
mv dist.new dist
rm -rf dist.old
touch dist/index.html
