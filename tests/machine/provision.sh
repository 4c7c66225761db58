#!/bin/sh
# Run by image.sh inside the image while the machine is off: installs Bulkhead as docs/operations/systemd.md says, and
# adapts the machine to emulation, where all code is about ten times slower.
set -eu
cd /usr/src/bulkhead
unset APT_CONFIG # mmdebstrap's, a path outside of the image

UNITS=/usr/lib/systemd/system
FAULTS=/etc/systemd/system/bulkhead-render@.service.d/50-faults.conf
STORMS=/usr/src/bulkhead/tests/system/storms

# put FILE: writes standard input to a file
put() {
    mkdir -p "$(dirname "$1")"
    cat >"$1"
}

# The network of the emulator: 10.0.2.2 is the host. No gateway, because nothing outside is needed.
network() {
    printf 'machine\n' >/etc/hostname
    printf '127.0.0.1 localhost machine\n' >/etc/hosts
    printf '/dev/vda / ext4 defaults 0 1\n' >/etc/fstab
    printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\n' | put /etc/systemd/network/machine.network
    systemctl enable --quiet systemd-networkd ssh
}

install_bulkhead() {
    make install
    systemctl enable --quiet rabbitmq-server
    systemctl enable --quiet bulkhead-web bulkhead-maintenance bulkhead-scheduler
    systemctl enable --quiet bulkhead-render@1 bulkhead-render@2 bulkhead-tiles@1
    systemctl enable --quiet bulkhead.target
}

# `bulkhead migrate` needs a running systemd, so the first boot runs it, before any other unit of ours.
migrate_at_boot() {
    put /etc/systemd/system/migrate.service <<UNIT
[Unit]
ConditionPathExists=!/var/lib/bulkhead/ledger.db
Before=bulkhead-web.service bulkhead-maintenance.service bulkhead-scheduler.service
Before=bulkhead-render@1.service bulkhead-render@2.service bulkhead-tiles@1.service

[Service]
Type=oneshot
ExecStart=/usr/sbin/bulkhead migrate
TimeoutStartSec=1800

[Install]
WantedBy=multi-user.target
UNIT
    systemctl enable --quiet migrate
}

# Longer time-outs: they must not decide an acceptance under emulation.
tolerate_emulation() {
    for unit in $(grep -l '^Type=notify' "$UNITS"/bulkhead-*.service); do
        {
            printf '[Service]\nTimeoutStartSec=1800\nTimeoutStopSec=300\n'
            sed -n 's/^WatchdogSec=.*/WatchdogSec=600/p' "$unit"
        } | put "/etc/systemd/system/${unit##*/}.d/50-emulation.conf"
    done
    cat >>/etc/bulkhead/bulkhead.env <<SETTINGS

# Emulated code is slow.
BULKHEAD_RENDER_TIME_LIMIT=1200
BULKHEAD_LEASE=120
BULKHEAD_REPUBLISH_AFTER=1500
BULKHEAD_PUBLISH_TIMEOUT=30
BULKHEAD_WEB_PROCESSES=1
BULKHEAD_MAINTENANCE_INTERVAL=30
SETTINGS
}

# Render workers whose engine has the fault that a drawing names (tests/system/storms/faulty_engine.py).
install_faults() {
    command=$(grep '^ExecStart=' "$UNITS/bulkhead-render@.service")
    put "$FAULTS" <<DROP_IN
[Service]
Environment=PYTHONPATH=$STORMS
ExecStart=
$command --include faulty_engine
DROP_IN
}

network
install_bulkhead
migrate_at_boot
tolerate_emulation
install_faults
