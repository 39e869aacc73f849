# A virtual machine of any cloud or hypervisor, or a plain computer: what it takes to find the disk.
{
  lib,
  modulesPath,
  pkgs,
  ...
}:

{
  imports = [ (modulesPath + "/profiles/qemu-guest.nix") ];

  boot.initrd.availableKernelModules = [
    "ahci"
    "nvme"
    "sd_mod"
    "sr_mod"
    "usb_storage"
    "xhci_pci"
  ];

  # On a PC one disk boots by BIOS and by UEFI; elsewhere there is only UEFI.
  boot.loader.grub = {
    enable = lib.mkDefault pkgs.stdenv.hostPlatform.isx86_64;
    efiSupport = true;
    efiInstallAsRemovable = true;
  };
  boot.loader.systemd-boot.enable = lib.mkDefault (!pkgs.stdenv.hostPlatform.isx86_64);

  # The serial console is all there is when the network is not.
  boot.kernelParams = [
    "console=tty0"
    (if pkgs.stdenv.hostPlatform.isx86_64 then "console=ttyS0,115200" else "console=ttyAMA0,115200")
  ];
}
