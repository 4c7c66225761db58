#!/bin/sh
# Builds a Debian 12 in which this tree is installed for systemd: tests/machine/image.sh DIRECTORY
# Makes DIRECTORY/disk.img, vmlinuz, initrd and key, the SSH key of root. Needs root. Nothing runs under emulation here.
set -eu
umask 022
directory=$1
cd "$(dirname "$0")/../.."

# What a server has anyway, and no package of setup/packages/run.txt: `make install` must bring those.
BASE=systemd-sysv,udev,linux-image-cloud-amd64,initramfs-tools,openssh-server,make,ca-certificates
SIZE=8G # of the disk; the image is sparse

hook() {
    printf -- '--customize-hook=%s' "$1"
}

# An earlier build may have been interrupted.
rm -rf "$directory/root" "$directory/tree.tar" "$directory/key" "$directory/disk.new"

echo "Packing the source tree and the built viewer"
{ git ls-files --cached --others --exclude-standard; find web/viewer/dist -type f; } |
    while read -r file; do [ -L "$file" ] || [ ! -f "$file" ] || echo "$file"; done |
    tar --create --file="$directory/tree.tar" --files-from=-
ssh-keygen -q -t ed25519 -N '' -C machine -f "$directory/key"

echo "Installing Debian 12, and Bulkhead in it as docs/operations/systemd.md says"
# mmdebstrap mounts /dev, /proc and /sys while a hook runs, and lets no service start.
mmdebstrap --quiet --mode=root --format=directory --variant=minbase --include="$BASE" \
    "$(hook 'mkdir -p "$1/usr/src/bulkhead" "$1/root/.ssh"')" \
    "$(hook "tar-in '$directory/tree.tar' /usr/src/bulkhead")" \
    "$(hook "upload '$directory/key.pub' /root/.ssh/authorized_keys")" \
    "$(hook 'upload /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt')" \
    "$(hook 'chroot "$1" sh /usr/src/bulkhead/tests/machine/provision.sh')" \
    bookworm "$directory/root"

echo "Making the disk"
cp "$directory"/root/boot/vmlinuz-* "$directory/vmlinuz"
cp "$directory"/root/boot/initrd.img-* "$directory/initrd"
truncate --size="$SIZE" "$directory/disk.new"
mkfs.ext4 -q -F -d "$directory/root" "$directory/disk.new"
mv "$directory/disk.new" "$directory/disk.img"
rm -rf "$directory/root" "$directory/tree.tar"
