# Settles the root $1 of a full guest: nothing in it is one machine's own, and it can be started by firmware.
set -eu
cd "$1"
rm -f etc/ssh/ssh_host_*
: >etc/machine-id
rm -f var/lib/dbus/machine-id
echo "UUID=$STEAD_ROOT / ext4 defaults,noinit_itable 0 1" >etc/fstab
echo LANG=C.UTF-8 >etc/default/locale
mkdir -p etc/ssh/sshd_config.d etc/systemd/system/ssh.service.d
cat >etc/ssh/sshd_config.d/10-keys-only.conf <<'END'
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
END
# Where nothing has made host keys by then, they are made before the first connection.
cat >etc/systemd/system/ssh.service.d/host-keys.conf <<'END'
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
END
echo 'datasource_list: [ NoCloud, None ]' >etc/cloud/cloud.cfg.d/90-local.cfg
chroot . systemctl --quiet enable systemd-networkd systemd-resolved ssh

# What update-grub makes of it from inside, once another kernel is installed.
cat >etc/default/grub <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200"
END
mkdir -p boot/grub/i386-pc
cp usr/lib/grub/i386-pc/*.mod usr/lib/grub/i386-pc/*.lst usr/lib/grub/i386-pc/boot.img boot/grub/i386-pc/
chroot . grub-mkimage -O i386-pc -p '(,gpt2)/boot/grub' -o /boot/grub/i386-pc/core.img \
    biosdisk part_gpt ext2 normal configfile linux search search_fs_uuid serial terminal echo test
release=$(ls lib/modules)
cat >boot/grub/grub.cfg <<END
serial --speed=115200
terminal_output console serial
search --no-floppy --fs-uuid --set=root $STEAD_ROOT
linux /boot/vmlinuz-$release root=UUID=$STEAD_ROOT ro console=tty0 console=ttyS0,115200
initrd /boot/initrd.img-$release
boot
END
