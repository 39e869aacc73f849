# Machine remote, system remote-dev.
{
  inputs,
  lib,
  pkgs,
  ...
}:

{
  imports = [
    ./disk.nix
    ../../modules/agents.nix
    ../../modules/audit-log.nix
    ../../modules/base.nix
    ../../modules/firewall.nix
    ../../modules/grow.nix
    ../../modules/hardening.nix
    ../../modules/hardware.nix
    ../../modules/home.nix
    ../../modules/metadata-root.nix
    ../../modules/rebuild.nix
    ../../modules/updates-all.nix
    ../../roles/agent-host.nix
    ../../own/extra.nix
  ];

  networking.hostName = "remote";
  nixpkgs.hostPlatform = "aarch64-linux";
  time.timeZone = "UTC";
  i18n.defaultLocale = "C.UTF-8";

  users.users = {
    ada = {
      isNormalUser = true;
      extraGroups = [ "wheel" ];
      shell = pkgs.fish;
      # What runs goes on when the last connection is gone.
      linger = true;
    };
    ssm-user = {
      isNormalUser = true;
      extraGroups = [ "wheel" ];
      # What runs goes on when the last connection is gone.
      linger = true;
    };
  };
  security.sudo.extraRules = [
    {
      users = [ "ada" ];
      commands = [
        {
          command = "ALL";
          options = [ "NOPASSWD" ];
        }
      ];
    }
  ];
  home-manager.users = {
    ada = {
      imports = [ ../../users/ada.nix ];
      home.stateVersion = "25.11";
    };
    ssm-user = {
      imports = [ ../../users/ssm-user.nix ];
      home.stateVersion = "25.11";
    };
  };
  programs.fish.enable = true;

  # The way in of AWS, which opens no port.
  services.amazon-ssm-agent.enable = true;

  nixpkgs.overlays = [ inputs.claude-code.overlays.default ];
  nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ "claude-code" ];

  environment.systemPackages = [
    pkgs.claude-code
    pkgs.gemini-cli
    pkgs.delve
    pkgs.go
    pkgs.golangci-lint
    pkgs.gopls
    pkgs.htop
    pkgs.pyright
    pkgs.python3
    pkgs.python3Packages.black
    pkgs.ripgrep
    pkgs.ruff
    pkgs.uv
  ];

  # The release whose defaults for data this host began with. It stays when the release goes on.
  system.stateVersion = "25.11";
}
