# The root takes what the disk has gained, at every start. Its partition is the last one.
{ pkgs, ... }:

{
  systemd.services.grow-root = {
    description = "Grows the root to the size of its disk";
    wantedBy = [ "multi-user.target" ];
    path = [
      pkgs.btrfs-progs
      pkgs.cloud-utils
      pkgs.e2fsprogs
      pkgs.util-linux
    ];
    script = ''
      partition=$(readlink -f /dev/disk/by-partlabel/disk-main-root)
      number=$(cat "/sys/class/block/''${partition##*/}/partition")
      # Status 1 is that there was nothing to gain.
      growpart "/dev/$(lsblk -ndo PKNAME "$partition")" "$number" || [ $? = 1 ]
      case $(lsblk -ndo FSTYPE "$partition") in
        ext4) resize2fs "$partition" ;;
        btrfs) btrfs filesystem resize max "$(findmnt -nfo TARGET "$partition")" ;;
        # The path is where the system that runs has it: its ZFS fits the kernel's.
        zfs_member) /run/booted-system/sw/bin/zpool online -e rpool "$partition" ;;
      esac
    '';
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
  };
}
