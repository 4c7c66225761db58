#!/bin/sh
# Installs Bulkhead for systemd, or removes it: setup/install.sh install|units|uninstall
# DESTDIR is prepended to every path, for packages. PREFIX is the path of the virtual environment (/opt/bulkhead).
# `units` is `install` without the virtual environment.
set -eu
umask 022 # the users of the units must be able to read what is installed
cd "$(dirname "$0")/.."

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/opt/bulkhead}
UNITS=$DESTDIR/usr/lib/systemd/system
HARDENING=bulkhead-.service.d/10-hardening.conf
SYSUSERS=$DESTDIR/usr/lib/sysusers.d/bulkhead.conf
TMPFILES=$DESTDIR/usr/lib/tmpfiles.d/bulkhead.conf
COMMAND=$DESTDIR/usr/sbin/bulkhead
EDGE=$DESTDIR/usr/share/bulkhead/edge
SETTINGS=$DESTDIR/etc/bulkhead/bulkhead.env
CREDENTIALS=$DESTDIR/etc/bulkhead/credentials

# put MODE SOURCE TARGET: copies a file and replaces /opt/bulkhead by PREFIX in it
put() {
    mkdir -p "$(dirname "$3")"
    sed "s|/opt/bulkhead|$PREFIX|g" "$2" >"$3"
    chmod "$1" "$3"
}

# put_render_unit NAME QUEUE MEMORY: installs bulkhead-NAME@, a copy of bulkhead-render@ for another queue
put_render_unit() {
    target=$UNITS/bulkhead-$1@.service
    put 644 systemd/bulkhead-render@.service "$target"
    sed -i -e '/^# setup/d' -e "s|render worker %i|$1 worker %i|" -e "s|--queues render |--queues $2 |" \
        -e "s|--hostname render%i|--hostname $1%i|" -e "s|^MemoryMax=.*|MemoryMax=$3|" "$target"
}

# The new environment is complete before it replaces the old one.
environment() {
    new=$DESTDIR$PREFIX.new
    rm -rf "$new"
    mkdir -p "$(dirname "$new")"
    "$(sh setup/python.sh)" -m venv "$new"
    sh setup/pip.sh "$new" requirements/runtime.txt
    # Scripts contain the path of the interpreter, which is about to change.
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

# credential NAME VALUE: creates a secret that units can load. An existing one is kept.
credential() {
    [ -e "$CREDENTIALS/$1" ] || (umask 077 && printf '%s\n' "$2" >"$CREDENTIALS/$1")
}

# The defaults are a broker and a ledger on this host. A package has no random secrets: they would be the same everywhere.
credentials() {
    (umask 077 && mkdir -p "$CREDENTIALS")
    credential BULKHEAD_BROKER_URL amqp://guest:guest@127.0.0.1:5672//
    credential BULKHEAD_LEDGER_URL sqlite:////var/lib/bulkhead/ledger.db
    [ -z "$DESTDIR" ] || return 0
    credential BULKHEAD_ARTIFACT_SECRET "$(random)"
    credential BULKHEAD_LINK_SECRET "$(random)"
    credential FLOWER_BASIC_AUTH "operator:$(random)"
}

units() {
    for unit in systemd/*.service systemd/*.timer systemd/*.slice systemd/*.target; do
        put 644 "$unit" "$UNITS/$(basename "$unit")"
    done
    put 644 "systemd/$HARDENING" "$UNITS/$HARDENING"
    put_render_unit tiles render.tiles 768M
    put_render_unit large render.large 2304M # BULKHEAD_LARGE_MEMORY_LIMIT and 256 MiB
    for part in edge/*/*; do
        put 644 "$part" "$EDGE/${part#edge/}"
    done
    put 644 systemd/host/sysusers.conf "$SYSUSERS"
    put 644 systemd/host/tmpfiles.conf "$TMPFILES"
    put 755 systemd/host/bulkhead.sh "$COMMAND"
    [ -e "$SETTINGS" ] || put 644 systemd/host/bulkhead.env "$SETTINGS"
    credentials
    [ -z "$DESTDIR" ] || return 0
    systemd-sysusers "$SYSUSERS"
    systemd-tmpfiles --create "$TMPFILES"
    reload
}

uninstall() {
    [ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] || systemctl disable --quiet --now bulkhead.target \
        $(systemctl list-units --all --plain --no-legend 'bulkhead-*.service' 'bulkhead-*.timer' | cut -d' ' -f1) || true
    rm -f "$UNITS"/bulkhead.slice "$UNITS"/bulkhead.target "$UNITS"/bulkhead-*.service "$UNITS"/bulkhead-*.timer
    rm -rf "$UNITS/${HARDENING%/*}"
    rm -f "$SYSUSERS" "$TMPFILES" "$COMMAND"
    rm -rf "$DESTDIR$PREFIX" "$EDGE"
    [ -n "$DESTDIR" ] || reload
    echo "Kept: settings and secrets ($DESTDIR/etc/bulkhead) and data ($DESTDIR/var/lib/bulkhead*). Remove them yourself if you no longer need them."
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
