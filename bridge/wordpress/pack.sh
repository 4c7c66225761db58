#!/bin/sh
# pack.sh FOLDER: puts the plugin and what it needs of the bridge into FOLDER, to be copied to wp-content/plugins.
#
# The bridge's examples are left out: below wp-content anybody could call them.
set -eu
target=${1:?Say where to: sh pack.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$target/php"
cp -R "$here/bulkhead.php" "$here/autoload.php" "$here/uninstall.php" "$here/src" "$here/assets" "$target/"
cp -R "$here/../php/src" "$target/php/"
