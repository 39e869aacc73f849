# Every night the newest of everything that the flake takes in.
{
  system.autoUpgrade = {
    enable = true;
    flake = "/etc/nixos";
    dates = "04:40";
    randomizedDelaySec = "45min";
    # A new kernel waits for a restart that somebody wants.
    allowReboot = false;
  };

  systemd.services.nixos-upgrade.preStart = "nix flake update --flake /etc/nixos";
}
