#!/bin/sh
# Installs the packages of setup/packages.txt that are missing, as root or through sudo. Costs 50 ms when none is.
#
# Debian starts a server as soon as it is installed. This platform runs its own, on private ports, so a policy-rc.d
# refuses such starts while apt-get runs. It is removed again, whatever happens.
set -eu
cd "$(dirname "$0")"

POLICY=/usr/sbin/policy-rc.d

wanted=$(sed 's/#.*//' packages.txt | xargs)

if ! command -v apt-get >/dev/null; then
    echo "This set-up knows Debian's apt-get only. Install these yourself: $wanted" >&2
    echo "Then skip this step: make PACKAGES=skip ..." >&2
    exit 1
fi

# shellcheck disable=SC2086
installed=$(dpkg-query --show --showformat '${Package} ${Status}\n' $wanted 2>/dev/null | sed -n 's/ install ok installed$//p' || true)
# Others may provide what is wanted: Node's own packages bring npm.
if [ "$(echo "$installed" | grep -c .)" -lt "$(echo "$wanted" | wc -w)" ]; then
    installed="$installed
$(dpkg-query --show --showformat '${Provides}\n' | tr ',' '\n' | sed 's/^ *//; s/ .*//')"
fi
missing=""
for package in $wanted; do
    echo "$installed" | grep -qx "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "These packages are missing and only root may install them: apt-get install$missing" >&2
        exit 1
    fi
    echo "Installing with sudo:$missing"
    exec sudo "$(pwd)/packages.sh"
fi

echo "Installing:$missing"
if [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086
if ! { apt-get update -q && apt-get install -qy --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "apt-get could not install:$missing. Mend what it says above and run make again." >&2
    exit 1
fi
rm -f "$log"
