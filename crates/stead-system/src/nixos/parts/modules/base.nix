# What every host has.
{ pkgs, ... }:

{
  nix.settings = {
    experimental-features = [
      "nix-command"
      "flakes"
    ];
    # Whoever is named here is as good as root.
    trusted-users = [ "root" ];
    auto-optimise-store = true;
  };

  # Old generations go after a month; the one that runs never does.
  nix.gc = {
    automatic = true;
    dates = "weekly";
    options = "--delete-older-than 30d";
  };

  environment.systemPackages = [
    pkgs.curl
    pkgs.git
    pkgs.vim
  ];
}
