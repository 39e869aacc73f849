# The disk as it is laid out at the installation. The root is in memory.
{ inputs, ... }:

{
  imports = [
    inputs.disko.nixosModules.disko
    inputs.impermanence.nixosModules.impermanence
  ];

  disko.devices = {
    disk.main = {
      type = "disk";
      device = "/dev/vda";
      content = {
        type = "gpt";
        partitions = {
          # Where GRUB lies on a computer without UEFI.
          bios = {
            priority = 1;
            size = "1M";
            type = "EF02";
          };
          boot = {
            priority = 2;
            size = "512M";
            type = "EF00";
            content = {
              type = "filesystem";
              format = "vfat";
              mountpoint = "/boot";
              mountOptions = [ "umask=0077" ];
            };
          };
          # The last, so that it can grow.
          root = {
            size = "100%";
            content = {
              type = "filesystem";
              format = "ext4";
              mountpoint = "/nix";
            };
          };
        };
      };
    };

    # The root is gone at a restart.
    nodev."/" = {
      fsType = "tmpfs";
      mountOptions = [
        "defaults"
        "mode=755"
        "size=25%"
      ];
    };
  };

  # What makes this host the one it is stays.
  environment.persistence."/nix/persist" = {
    hideMounts = true;
    directories = [
      "/etc/nixos"
      "/home"
      "/srv"
      "/var/lib"
      "/var/log"
    ];
    files = [ "/etc/machine-id" ];
  };
}
