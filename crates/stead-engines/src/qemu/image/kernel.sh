# Puts the newest kernel of the release and its modules into the root $1, without what Debian would have installed with
# it to start it. Packages come by mmdebstrap's own settings, so from where all others do.
set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
cd "$STEAD_PART"
mkdir kernel
cd kernel
package=$(apt-cache depends --important "linux-image-$STEAD_ARCH" | sed -n 's/^ *Depends: //p' | head -n 1)
apt-get download -q -o APT::Sandbox::User=root "$package"
dpkg-deb -x ./*.deb .
rm ./*.deb
mkdir -p "$1/lib/modules"
for folder in lib usr/lib; do
    [ ! -d "$folder/modules" ] || mv "$folder"/modules/* "$1/lib/modules/"
done
mv boot/vmlinuz-* "$1/boot/"
cd ..
rm -r kernel
chroot "$1" depmod "$(ls "$1/lib/modules")"
