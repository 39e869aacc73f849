# Machine cluster, system cluster.
{ pkgs, ... }:

{
  imports = [
    ./disk.nix
    ../../modules/audit-log.nix
    ../../modules/base.nix
    ../../modules/fail2ban.nix
    ../../modules/firewall.nix
    ../../modules/grow.nix
    ../../modules/hardening.nix
    ../../modules/hardware.nix
    ../../modules/home.nix
    ../../modules/metadata-root.nix
    ../../modules/rebuild.nix
    ../../modules/ssh.nix
    ../../modules/tailscale.nix
    ../../modules/updates-security.nix
    ../../roles/desktop-xfce.nix
    ../../roles/docker.nix
    ../../roles/k3s.nix
    ../../roles/vllm.nix
  ];

  networking.hostName = "cluster";
  nixpkgs.hostPlatform = "x86_64-linux";
  time.timeZone = "UTC";
  i18n.defaultLocale = "C.UTF-8";

  # Its own release too.
  systemd.services.nixos-upgrade.preStart = "nix flake update nixpkgs-unstable --flake /etc/nixos";

  users.users.ada = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    shell = pkgs.zsh;
    openssh.authorizedKeys.keys = [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"
    ];
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
  home-manager.users.ada = {
    imports = [ ../../users/ada.nix ];
    home.stateVersion = "25.11";
  };
  programs.zsh.enable = true;

  services.openssh = {
    settings = {
      AllowUsers = [ "ada" ];
      MaxAuthTries = 3;
    };
    hostKeys = [
      {
        path = "/persist/etc/ssh/ssh_host_ed25519_key";
        type = "ed25519";
      }
    ];
  };

  networking.firewall = {
    trustedInterfaces = [ "tailscale0" ];
    allowedTCPPorts = [ 22 ];
    allowedUDPPorts = [ 41641 ];
  };

  services.tailscale.extraUpFlags = [
    "--accept-dns=false"
    "--login-server=https://headscale.example.org"
  ];

  systemd.services.vllm.environment = {
    HOST = "0.0.0.0";
    MODEL = "Qwen/Qwen3-8B";
  };

  # The release whose defaults for data this host began with. It stays when the release goes on.
  system.stateVersion = "25.11";
}
