#!/bin/sh
# pack.sh FOLDER: copies the plugin and the PHP client to FOLDER, which can be installed in wp-content/plugins.
#
# The examples of the client are not copied: below wp-content they would be publicly accessible.
set -eu
target=${1:?Usage: sh pack.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$target/php"
cp -R "$here/bulkhead.php" "$here/autoload.php" "$here/uninstall.php" "$here/src" "$here/assets" "$target/"
cp -R "$here/../php/src" "$target/php/"
