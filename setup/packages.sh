#!/bin/sh
# Installs the Debian packages of the named lists in setup/packages/ that are missing: setup/packages.sh LIST...
# Needs root or sudo. Takes 50 ms when nothing is missing.
#
# Debian starts and enables a server when its package is installed. Bulkhead runs its own servers on private ports, so
# a policy-rc.d refuses these starts, and services and sockets that were not enabled before are disabled afterwards.
set -eu
umask 022
cd "$(dirname "$0")"

POLICY=/usr/sbin/policy-rc.d

# The base system needs its own services to boot.
BASE="systemd|systemd-[a-z]*|udev|dbus|dbus-[a-z]*|init"

[ $# -gt 0 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
for list; do
    [ -e "packages/$list.txt" ] || { echo "There is no list setup/packages/$list.txt." >&2; exit 2; }
done
wanted=$(for list; do sed 's/#.*//' "packages/$list.txt"; done | xargs)

if ! command -v apt-get >/dev/null; then
    echo "The set-up supports Debian's apt-get only. Install these packages yourself: $wanted" >&2
    echo "Then skip this step: make PACKAGES=skip ..." >&2
    exit 1
fi

# shellcheck disable=SC2086
installed=$(dpkg-query --show --showformat '${Package} ${Status}\n' $wanted 2>/dev/null | sed -n 's/ install ok installed$//p' || true)
# Another package may provide what is wanted: the packages of Node's own project include npm.
if [ "$(echo "$installed" | grep -c .)" -lt "$(echo "$wanted" | wc -w)" ]; then
    installed="$installed
$(dpkg-query --show --showformat '${Provides}\n' | tr ',' '\n' | sed 's/^ *//; s/ .*//')"
fi
missing=""
for package in $wanted; do
    echo "$installed" | grep -qx "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "These packages are missing, and only root can install them: apt-get install$missing" >&2
        exit 1
    fi
    echo "Installing with sudo:$missing"
    exec sudo sh "$(pwd)/packages.sh" "$@"
fi

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
scratch=$(mktemp -d)

# enabled_units, enabled_scripts: what starts at boot, under systemd and under System V init
enabled_units() {
    find /etc/systemd/system -path '*.wants/*' \( -name '*.service' -o -name '*.socket' \) -printf '%f\n' 2>/dev/null |
        sort -u
}
enabled_scripts() {
    find /etc/rc[2-5].d -name 'S*' -printf '%f\n' 2>/dev/null | sed 's/^S[0-9]*//' | sort -u
}

# is_base FILE: whether a package of the base system installed it
is_base() {
    dpkg-query --search "$1" 2>/dev/null | grep -qE "^($BASE)(:[a-z0-9]+)?: "
}

disable_new() {
    enabled_units | comm -13 "$scratch/units" - | while read -r unit; do
        file=$(echo "$unit" | sed 's/@[^.]*/@/')
        ! is_base "*/systemd/system/$file" || continue
        if command -v systemctl >/dev/null; then
            systemctl --quiet disable "$unit" >>"$scratch/log" 2>&1
        else
            DPKG_MAINTSCRIPT_PACKAGE=bulkhead deb-systemd-helper disable "$unit" >>"$scratch/log" 2>&1
        fi && echo "  Disabled $unit: it does not start at boot."
    done
    enabled_scripts | comm -13 "$scratch/scripts" - | while read -r script; do
        is_base "/etc/init.d/$script" || update-rc.d "$script" disable >>"$scratch/log" 2>&1
    done
}

finish() {
    set +e # every step must run
    [ -z "${refused:-}" ] || rm -f "$POLICY"
    disable_new
    rm -rf "$scratch"
}

enabled_units >"$scratch/units"
enabled_scripts >"$scratch/scripts"
trap finish EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$POLICY" ]; then
    refused=yes
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
fi

fail() {
    tail -n 20 "$scratch/log" >&2
    echo "apt-get could not install:$missing. Correct what it reports above and run make again." >&2
    exit 1
}

echo "Updating the list of Debian packages"
apt-get update -q >"$scratch/log" 2>&1 || fail
# shellcheck disable=SC2086
apt-get install --assume-no --no-install-recommends $missing >"$scratch/plan" 2>&1 || true
count=$(sed -n 's/.* \([0-9]*\) newly installed.*/\1/p' "$scratch/plan")
echo "Installing ${count:-?} Debian packages, for:$missing"
sed -n -e 's/^Need to get /  Download: /p' -e 's/^After this operation, /  Disk: /p' "$scratch/plan"
# A pipeline reports the exit code of its last command only, so a file reports a failure of apt-get.
# shellcheck disable=SC2086
{ apt-get install -qy --no-install-recommends $missing || : >"$scratch/failed"; } </dev/null 2>&1 | tee "$scratch/log" |
    sed -un -e 's/^Get:[0-9]* [^ ]* [^ ]* [^ ]* \([^ ]*\) .*\(\[.*\]\)$/Downloaded \1 \2/p' \
        -e 's/^Setting up \([^ :]*\).*/Installed \1/p' | sh progress.sh apt $((${count:-1} * 2))
[ ! -e "$scratch/failed" ] || fail
