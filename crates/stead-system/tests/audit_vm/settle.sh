# Settles the root $1 of a Debian for this test: a kernel without its initramfs, and the list of updates that close holes.
set -eu
chroot "$1" sh -eu -c '
cd /tmp
release=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/.*Depends: linux-image-\([0-9].*\)/\1/p")
apt-get -q download "linux-image-$release"
mkdir kernel
dpkg -x linux-image*.deb kernel
cp -a kernel/boot/. /boot
cp -a kernel/lib/modules /usr/lib
depmod "$release"
rm -rf kernel linux-image*.deb
find /var/lib/apt/lists -name "*_Packages" ! -name "*security*" -delete
echo "LABEL=root / ext4 defaults 0 1" > /etc/fstab
rm -f /etc/ssh/ssh_host_*
ssh-keygen -A
systemctl disable apt-daily.service e2scrub_reap.service || true
systemctl mask systemd-networkd-wait-online.service
'
