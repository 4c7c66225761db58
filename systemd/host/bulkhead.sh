#!/bin/sh
# Runs the command line as the units run: same user, same settings. For root: bulkhead doctor, bulkhead dead list, ...
exec systemd-run --quiet --pipe --wait --collect --service-type=exec --uid=bulkhead --gid=bulkhead \
    --working-directory=/opt/bulkhead --setenv=BULKHEAD_VAR=/var/lib/bulkhead \
    --property=EnvironmentFile=-/etc/bulkhead/bulkhead.env --property=UMask=0077 \
    -- /opt/bulkhead/bin/python -m cli "$@"
