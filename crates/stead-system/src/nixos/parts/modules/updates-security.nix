# Every night what the release has mended: a release of NixOS takes little else.
{
  system.autoUpgrade = {
    enable = true;
    flake = "/etc/nixos";
    dates = "04:40";
    randomizedDelaySec = "45min";
    # A new kernel waits for a restart that somebody wants.
    allowReboot = false;
  };

  systemd.services.nixos-upgrade.preStart = "nix flake update nixpkgs --flake /etc/nixos";
}
