#!/bin/sh
# Becomes the PID 1 of a systemd of its own, in namespaces and cgroups of its own, over an overlay of this machine's
# root. Started by private_systemd.py as root:
#
#     private_systemd.sh HOME GROUP
#
# HOME/files is laid over the root; HOME/binds lists directories to show inside, a line each: OUTSIDE INSIDE.
# GROUP names the cgroups. The network is this machine's, so units reach services on loopback.
set -eu
home=$1 group=$2

enter() {
    mkdir -p "$1/$group"
    if [ -e "$1/cpuset.cpus" ] && [ -e "$1/$group/cpuset.mems" ]; then # version 1 lets nobody in without
        cat "$1/cpuset.cpus" >"$1/$group/cpuset.cpus" || true
        cat "$1/cpuset.mems" >"$1/$group/cpuset.mems" || true
    fi
    # A host of its own, with a host's share of the processor: not that of one process among all others here.
    [ ! -e "$1/$group/cpu.shares" ] || echo 10240 >"$1/$group/cpu.shares"
    [ ! -e "$1/$group/cpu.weight" ] || echo 1000 >"$1/$group/cpu.weight"
    echo $$ >"$1/$group/cgroup.procs"
}

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    hierarchies=
    echo "+memory +pids +cpu +io" >/sys/fs/cgroup/cgroup.subtree_control || true # they may be on already
    enter /sys/fs/cgroup
else
    hierarchies=$(ls /sys/fs/cgroup)
    for name in $hierarchies; do
        [ -L "/sys/fs/cgroup/$name" ] || enter "/sys/fs/cgroup/$name"
    done
fi
export home hierarchies

# shellcheck disable=SC2016
exec unshare --fork --kill-child --pid --mount --uts --ipc --cgroup sh -eu -c '
    root=$home/root
    mount --make-rprivate /
    mkdir -p "$root" "$home/layers"
    mount -t tmpfs tmpfs "$home/layers"
    mkdir "$home/layers/upper" "$home/layers/work"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$home/layers/upper,workdir=$home/layers/work" "$root"

    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys" # or systemd would set the sysctls of this machine
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

    if [ -z "$hierarchies" ]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    fi
    for name in $hierarchies; do
        at=$root/sys/fs/cgroup/$name
        if [ -L "/sys/fs/cgroup/$name" ]; then
            ln -s "$(readlink "/sys/fs/cgroup/$name")" "$at"
            continue
        fi
        mkdir "$at"
        case $name in
            unified) mount -t cgroup2 cgroup2 "$at" ;;
            systemd) mount -t cgroup -o none,name=systemd cgroup "$at" ;;
            *) mount -t cgroup -o "$name" cgroup "$at" ;;
        esac
    done

    # Of the machine only what a unit needs to start: no services, no timers, nothing that touches hardware.
    rm -rf "$root"/etc/systemd/system/* "$root"/lib/systemd/system/*.wants
    wants=$root/lib/systemd/system/sysinit.target.wants
    mkdir -p "$wants"
    for unit in systemd-journald.service systemd-sysusers.service systemd-tmpfiles-setup.service dbus.socket; do
        ln -s "../$unit" "$wants/$unit"
    done
    for unit in systemd-remount-fs.service systemd-journald-audit.socket; do
        ln -s /dev/null "$root/etc/systemd/system/$unit"
    done
    ln -s /dev/null "$root/etc/tmpfiles.d/tmp.conf" # or it would empty what is shown below /tmp
    cp -R "$home/files/." "$root/"
    while read -r outside inside; do
        mkdir -p "$root$inside"
        mount --bind "$outside" "$root$inside"
    done <"$home/binds"

    hostname private
    export container=private
    cd "$root"
    mkdir run/old
    pivot_root . run/old
    umount -l run/old
    rmdir run/old
    mount --make-rshared / # as on a host: credentials of units are mounted by a process with mounts of its own
    exec /lib/systemd/systemd --system --unit=basic.target --log-target=journal --log-level=notice
'
