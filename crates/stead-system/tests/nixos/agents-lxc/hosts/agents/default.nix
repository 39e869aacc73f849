# Machine agents, system agents.
{
  inputs,
  lib,
  pkgs,
  ...
}:

let
  hardened = import ../../modules/hardened.nix;
in
{
  imports = [
    ./disk.nix
    ../../modules/agents.nix
    ../../modules/alerts.nix
    ../../modules/base.nix
    ../../modules/firewall.nix
    ../../modules/grow.nix
    ../../modules/hardening.nix
    ../../modules/hardware.nix
    ../../modules/logs.nix
    ../../modules/metadata-none.nix
    ../../modules/netbird.nix
    ../../modules/rebuild.nix
    ../../modules/secrets.nix
    ../../modules/ssh.nix
  ];

  networking.hostName = "agents";
  nixpkgs.hostPlatform = "x86_64-linux";
  time.timeZone = "UTC";
  i18n.defaultLocale = "C.UTF-8";

  users.users.agent = {
    isNormalUser = true;
    extraGroups = [ "video" ];
    # What runs goes on when the last connection is gone.
    linger = true;
    openssh.authorizedKeys.keys = [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"
    ];
  };

  services.openssh = {
    ports = [ 2200 ];
    settings = {
      AllowUsers = [ "agent" ];
      MaxAuthTries = 2;
    };
  };

  networking.firewall = {
    trustedInterfaces = [
      "wt0"
      "br0"
    ];
    allowedTCPPorts = [ 443 ];
    allowedUDPPorts = [ 51820 ];
    allowedUDPPortRanges = [
      {
        from = 60000;
        to = 60010;
      }
    ];
  };

  services.netbird.clients.overlay = {
    login = {
      enable = true;
      setupKeyFile = "/run/secrets/netbird-key";
    };
    environment.NB_MANAGEMENT_URL = "https://netbird.example.org";
    config.DisableDNS = true;
  };

  # `sops secrets/agents.yaml` opens them in an editor.
  sops = {
    defaultSopsFile = ../../secrets/agents.yaml;
    age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    secrets = {
      api-token = { };
      netbird-key = { };
    };
  };

  systemd.services."alert@".environment.NTFY = "https://ntfy.example.org/agents";

  nixpkgs.overlays = [ inputs.claude-code.overlays.default ];
  nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ "claude-code" ];

  environment.systemPackages = [
    pkgs.claude-code
    pkgs.opencode
  ];

  systemd.services.index = {
    description = "index";
    wantedBy = [ "multi-user.target" ];
    after = [ "review.service" ];
    # What is installed here, as in a shell.
    path = [ "/run/current-system/sw" ];
    serviceConfig = hardened // {
      Type = "exec";
      ExecStart = "/opt/index/bin/index";
      DynamicUser = true;
      StateDirectory = "index";
      WorkingDirectory = "/var/lib/index";
      PrivateNetwork = true;
      RestrictAddressFamilies = [ "AF_UNIX" ];
      IPAddressDeny = "any";
    };
  };

  systemd.services.review = {
    description = "Reviews what comes in";
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    onFailure = [ "alert@%n.service" ];
    # What fails again and again has failed.
    startLimitIntervalSec = 300;
    startLimitBurst = 5;
    environment.QUEUE = "a \"b\" \${c} ''d''";
    # What is installed here, as in a shell.
    path = [ "/run/current-system/sw" ];
    serviceConfig =
      removeAttrs hardened [
        "MemoryDenyWriteExecute"
        "ProcSubset"
      ]
      // {
        Type = "exec";
        ExecStart = "/bin/sh -c \"exec review --queue \\\"$$QUEUE\\\" 100%%\"";
        User = "agent";
        StateDirectory = "review";
        WorkingDirectory = "/var/lib/review";
        ProtectHome = "read-only";
        ReadWritePaths = [ "/srv/review" ];
        LoadCredential = [ "api-token:/run/secrets/api-token" ];
        Restart = "on-failure";
        RestartSec = 5;
      };
  };

  systemd.services.steered = {
    description = "steered";
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    onFailure = [ "alert@%n.service" ];
    # What fails again and again has failed.
    startLimitIntervalSec = 300;
    startLimitBurst = 5;
    # What is installed here, as in a shell.
    path = [ "/run/current-system/sw" ];
    serviceConfig = removeAttrs hardened [ "MemoryDenyWriteExecute" ] // {
      Type = "exec";
      ExecStart = "/run/current-system/sw/bin/claude remote-control";
      User = "agent";
      StateDirectory = "steered";
      WorkingDirectory = "/home/agent";
      ProtectHome = "read-only";
      # An agent works in the home of whom it works for.
      ReadWritePaths = [ "/home/agent" ];
      # With any of these remote control is off, or somebody else pays.
      UnsetEnvironment = [
        "ANTHROPIC_API_KEY"
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
        "DISABLE_TELEMETRY"
      ];
      Restart = "on-failure";
      RestartSec = 5;
    };
  };

  environment.etc."alloy/config.alloy".source = ./config.alloy;

  # The release whose defaults for data this host began with. It stays when the release goes on.
  system.stateVersion = "25.11";
}
