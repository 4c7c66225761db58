#!/bin/sh
# Prepares this host, an edge node, to receive TLS ticket keys: setup/node.sh PUBLIC_KEY_OF_THE_JUMP_HOST
# DESTDIR is prepended to every path, for packages. Needs Python 3.11 and this source tree, no installed Bulkhead.
set -eu
umask 022 # the user bulkhead-tickets must be able to run the program
cd "$(dirname "$0")/.."

[ $# -eq 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
DESTDIR=${DESTDIR:-}
PROGRAM=/usr/local/lib/bulkhead/bulkhead-tickets-node
STATE=$DESTDIR/var/lib/bulkhead-tickets
UNITS=$DESTDIR/etc/systemd/system

mkdir -p "$(dirname "$DESTDIR$PROGRAM")" "$UNITS/haproxy.service.d" "$DESTDIR/usr/lib/sysusers.d"
# The old program stays until the new one is complete: without one, HAProxy would not start after a reboot.
python3 -c 'import sys; from workers.tickets.node_archive import build_archive; sys.stdout.buffer.write(build_archive())' >"$DESTDIR$PROGRAM.new"
chmod 755 "$DESTDIR$PROGRAM.new"
mv "$DESTDIR$PROGRAM.new" "$DESTDIR$PROGRAM"
cp systemd/node/*.service systemd/node/*.timer "$UNITS/"
cp systemd/node/haproxy.conf "$UNITS/haproxy.service.d/bulkhead-tickets.conf"
cp systemd/node/sysusers.conf "$DESTDIR/usr/lib/sysusers.d/bulkhead-tickets.conf"
# These units have their own user. Where workers run on the same host, their drop-in must not apply to the node's units.
for unit in bootstrap key-age-alarm; do
    mkdir -p "$UNITS/bulkhead-tickets-$unit.service.d"
    ln -sf /dev/null "$UNITS/bulkhead-tickets-$unit.service.d/10-hardening.conf"
done
[ -n "$DESTDIR" ] || systemd-sysusers /usr/lib/sysusers.d/bulkhead-tickets.conf

mkdir -p "$STATE/.ssh"
# Restrict every key in the file: a key without a forced command would open a shell.
sed -n "/^[^#]/s|^|restrict,command=\"$PROGRAM serve\" |p" "$1" >"$STATE/.ssh/authorized_keys"
chmod 700 "$STATE" "$STATE/.ssh"
chmod 600 "$STATE/.ssh/authorized_keys"
[ -z "$DESTDIR" ] || exit 0
chown -R bulkhead-tickets: "$STATE"
systemctl daemon-reload
systemctl enable --now bulkhead-tickets-bootstrap.service bulkhead-tickets-key-age-alarm.timer
cat <<'TEXT'
Next, configure HAProxy in /etc/haproxy/haproxy.cfg:
    global:  stats socket /run/haproxy/tickets.sock user bulkhead-tickets mode 600 level admin
    bind:    ... ssl ... tls-ticket-keys /run/bulkhead-tickets/keyring
Then add the node on the jump host: bulkhead tickets join NODE HOST:PORT
TEXT
