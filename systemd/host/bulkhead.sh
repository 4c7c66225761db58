#!/bin/sh
# Runs the command line as the units run: with their settings, and with the secrets that its commands need. For root:
# bulkhead doctor, bulkhead dead list, ... The rotation of ticket keys has its own user and its own files.
set -eu
case ${1:-} in
    tickets) user=bulkhead-rotator state=/var/lib/bulkhead-rotator ;;
    *) user=bulkhead-maintenance state=/var/lib/bulkhead ;;
esac
set -- -- /opt/bulkhead/bin/python -m cli "$@"
for name in BULKHEAD_BROKER_URL BULKHEAD_LEDGER_URL BULKHEAD_REDIS_URL BULKHEAD_STREAM_URL BULKHEAD_HEARTBEATS_SOURCE \
    BULKHEAD_HEARTBEATS_DATABASE_URLS BULKHEAD_ARTIFACT_SECRET AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
    file=/etc/bulkhead/credentials/$name
    [ ! -e "$file" ] || set -- --property="LoadCredential=$name:$file" "$@"
done
[ "$user" = bulkhead-maintenance ] || set -- --setenv=BULKHEAD_TICKETS_SSH_CONFIG=/etc/bulkhead/tickets/ssh_config "$@"
exec systemd-run --quiet --pipe --wait --collect --service-type=exec --uid="$user" --gid=bulkhead \
    --working-directory=/opt/bulkhead --setenv=BULKHEAD_VAR="$state" \
    --property=EnvironmentFile=-/etc/bulkhead/bulkhead.env --property=UMask=0007 "$@"
