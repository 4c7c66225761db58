#!/bin/sh
# Installs Bulkhead for systemd, or takes it away again: setup/install.sh install|units|uninstall
# DESTDIR is put before every path, for packages. PREFIX is where its virtual environment lies (/opt/bulkhead).
# `units` is `install` without the virtual environment.
set -eu
cd "$(dirname "$0")/.."

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/opt/bulkhead}
UNITS=$DESTDIR/usr/lib/systemd/system
SYSUSERS=$DESTDIR/usr/lib/sysusers.d/bulkhead.conf
TMPFILES=$DESTDIR/usr/lib/tmpfiles.d/bulkhead.conf
COMMAND=$DESTDIR/usr/sbin/bulkhead
EDGE=$DESTDIR/usr/share/bulkhead/edge
SETTINGS=$DESTDIR/etc/bulkhead/bulkhead.env

# put MODE SOURCE TARGET: a file, with PREFIX in place of /opt/bulkhead
put() {
    mkdir -p "$(dirname "$3")"
    sed "s|/opt/bulkhead|$PREFIX|g" "$2" >"$3"
    chmod "$1" "$3"
}

# lane NAME QUEUE MEMORY: the units of another lane are those of bulkhead-render@, but for these
lane() {
    target=$UNITS/bulkhead-$1@.service
    put 644 systemd/bulkhead-render@.service "$target"
    sed -i -e '/^# setup/d' -e "s|render worker %i|$1 worker %i|" -e "s|--queues render |--queues $2 |" \
        -e "s|--hostname render%i|--hostname $1%i|" -e "s|^MemoryMax=.*|MemoryMax=$3|" "$target"
}

# The new environment is complete before it takes the old one's place.
environment() {
    new=$DESTDIR$PREFIX.new
    rm -rf "$new"
    mkdir -p "$(dirname "$new")"
    "$(sh setup/python.sh)" -m venv "$new"
    pip="$new/bin/python -m pip install -qq --disable-pip-version-check --no-deps"
    $pip --require-hashes -r requirements/runtime.txt -r requirements/build.txt
    $pip --no-build-isolation .
    # Scripts name the interpreter by its path, which is about to change.
    grep -lI "^#!$new/" "$new"/bin/* | xargs sed -i "1s|^#!$new/|#!$PREFIX/|"
    "$new/bin/python" -m compileall -q "$new/lib" || true
    rm -rf "$DESTDIR$PREFIX.old"
    [ ! -e "$DESTDIR$PREFIX" ] || mv "$DESTDIR$PREFIX" "$DESTDIR$PREFIX.old"
    mv "$new" "$DESTDIR$PREFIX"
    rm -rf "$DESTDIR$PREFIX.old"
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# secrets: lines of settings that are this host's own
secrets() {
    printf '\n# Names of artifacts are keyed with it: the same on every host.\nBULKHEAD_SECRET=%s\n' "$(random)"
    printf '\n# Who may use the dashboard.\nFLOWER_BASIC_AUTH=operator:%s\n' "$(random)"
}

units() {
    for unit in systemd/*.service systemd/*.timer systemd/*.slice systemd/*.target; do
        put 644 "$unit" "$UNITS/$(basename "$unit")"
    done
    lane tiles render.tiles 512M
    lane large render.large 2G # BULKHEAD_LARGE_MEMORY_LIMIT
    for part in edge/*/*; do
        put 644 "$part" "$EDGE/${part#edge/}"
    done
    put 644 systemd/sysusers.conf "$SYSUSERS"
    put 644 systemd/tmpfiles.conf "$TMPFILES"
    put 755 systemd/bulkhead.sh "$COMMAND"
    if [ ! -e "$SETTINGS" ]; then
        put 600 systemd/bulkhead.env "$SETTINGS"
        [ -n "$DESTDIR" ] || secrets >>"$SETTINGS"
    fi
    [ -z "$DESTDIR" ] || return 0
    systemd-sysusers "$SYSUSERS"
    systemd-tmpfiles --create "$TMPFILES"
    reload
}

uninstall() {
    [ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] || systemctl disable --quiet --now bulkhead.target \
        $(systemctl list-units --all --plain --no-legend 'bulkhead-*.service' 'bulkhead-*.timer' | cut -d' ' -f1) || true
    rm -f "$UNITS"/bulkhead.slice "$UNITS"/bulkhead.target "$UNITS"/bulkhead-*.service "$UNITS"/bulkhead-*.timer
    rm -f "$SYSUSERS" "$TMPFILES" "$COMMAND"
    rm -rf "$DESTDIR$PREFIX" "$EDGE"
    [ -n "$DESTDIR" ] || reload
    echo "Settings ($SETTINGS) and data ($DESTDIR/var/lib/bulkhead) are kept; remove them yourself if you mean to."
}

reload() {
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

case ${1:-} in
    install) environment; units ;;
    units) units ;;
    uninstall) uninstall ;;
    *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
