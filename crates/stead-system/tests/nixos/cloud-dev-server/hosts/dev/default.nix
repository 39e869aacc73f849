# Machine dev, system dev-server.
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
    ../../modules/audit-log.nix
    ../../modules/base.nix
    ../../modules/fail2ban.nix
    ../../modules/firewall.nix
    ../../modules/grow.nix
    ../../modules/hardening.nix
    ../../modules/hardware.nix
    ../../modules/home.nix
    ../../modules/logs.nix
    ../../modules/metadata-root.nix
    ../../modules/mosh.nix
    ../../modules/rebuild.nix
    ../../modules/secrets.nix
    ../../modules/ssh.nix
    ../../modules/tailscale.nix
    ../../modules/updates-security.nix
    ../../roles/agent-host.nix
    ../../roles/podman.nix
  ];

  networking.hostName = "dev";
  nixpkgs.hostPlatform = "x86_64-linux";
  time.timeZone = "Europe/Berlin";
  i18n.defaultLocale = "en_US.UTF-8";

  users.users.ada = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    shell = pkgs.zsh;
    # What runs goes on when the last connection is gone.
    linger = true;
    openssh.authorizedKeys.keys = [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm9b5kVfA0pP0Zc8W2Xe1h3G6rJq9s4tUvWxYz0aBcD ada@laptop"
    ];
  };
  # There are these users and no others, and none has a password.
  users.mutableUsers = false;
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

  services.openssh.settings = {
    AllowUsers = [ "ada" ];
    MaxAuthTries = 3;
  };

  networking.firewall = {
    trustedInterfaces = [ "tailscale0" ];
    allowedUDPPorts = [ 41641 ];
  };

  services.tailscale = {
    authKeyFile = "/run/secrets/tailscale-key";
    extraUpFlags = [
      "--accept-dns=true"
      "--advertise-routes=10.1.0.0/16"
    ];
    # It forwards what others send there.
    useRoutingFeatures = "server";
  };

  systemd.services.tailscale-funnel = {
    description = "Shows ports of the loopback to the internet";
    wantedBy = [ "multi-user.target" ];
    wants = [ "tailscaled-autoconnect.service" ];
    after = [
      "tailscaled.service"
      "tailscaled-autoconnect.service"
    ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = [ "/run/current-system/sw/bin/tailscale funnel --bg --https=443 8080" ];
      ExecStop = [ "/run/current-system/sw/bin/tailscale funnel reset" ];
    };
  };

  # `sops secrets/dev.yaml` opens them in an editor.
  sops = {
    defaultSopsFile = ../../secrets/dev.yaml;
    age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    secrets = {
      backup-password = { };
      ntfy-token = { };
      tailscale-key = { };
    };
  };

  systemd.services."alert@" = {
    environment.NTFY = "https://ntfy.example.org/dev";
    serviceConfig.LoadCredential = "token:/run/secrets/ntfy-token";
  };

  nixpkgs.overlays = [ inputs.claude-code.overlays.default ];
  nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ "claude-code" ];
  # Another version is refused rather than installed.
  assertions = [
    {
      assertion = pkgs.codex.version == "0.40.0";
      message = "codex is to stay at 0.40.0, and nixpkgs has another one";
    }
  ];

  environment.systemPackages = [
    (pkgs.symlinkJoin {
      name = "claude-code";
      paths = [ pkgs.claude-code ];
      nativeBuildInputs = [ pkgs.makeWrapper ];
      # It commits as itself, whoever runs it.
      postBuild = ''
        wrapProgram $out/bin/claude \
          --set GIT_AUTHOR_NAME ${lib.escapeShellArg "Claude for Ada"} \
          --set GIT_AUTHOR_EMAIL ${lib.escapeShellArg "ada+claude@example.org"} \
          --set GIT_COMMITTER_NAME ${lib.escapeShellArg "Claude for Ada"} \
          --set GIT_COMMITTER_EMAIL ${lib.escapeShellArg "ada+claude@example.org"}
      '';
    })
    pkgs.codex
    pkgs.cargo
    pkgs.clippy
    pkgs.fd
    pkgs.gcc
    pkgs.jq
    pkgs.nodejs
    pkgs.pnpm
    pkgs.restic
    pkgs.ripgrep
    pkgs.rust-analyzer
    pkgs.rustc
    pkgs.rustfmt
    pkgs.typescript
    pkgs.typescript-language-server
  ];

  systemd.services.backup = {
    description = "Backs up the home of Ada";
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    onFailure = [ "alert@%n.service" ];
    startAt = "*-*-* 03:30";
    environment.RESTIC_REPOSITORY = "sftp:backup:/dev%%1";
    # What is installed here, as in a shell.
    path = [ "/run/current-system/sw" ];
    serviceConfig = hardened // {
      Type = "oneshot";
      ExecStart = "/bin/sh -c \"exec restic --password-file $$CREDENTIALS_DIRECTORY/backup-password backup ~\"";
      User = "ada";
      StateDirectory = "backup";
      WorkingDirectory = "/var/lib/backup";
      ProtectHome = "read-only";
      LoadCredential = [ "backup-password:/run/secrets/backup-password" ];
    };
  };
  # What was missed while the host was off is made up for.
  systemd.timers.backup.timerConfig.Persistent = true;

  systemd.services.remote = {
    description = "remote";
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
      User = "ada";
      StateDirectory = "remote";
      WorkingDirectory = "/home/ada";
      ProtectHome = "read-only";
      # An agent works in the home of whom it works for.
      ReadWritePaths = [ "/home/ada" ];
      # With any of these remote control is off, or somebody else pays.
      UnsetEnvironment = [
        "ANTHROPIC_API_KEY"
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"
        "DISABLE_TELEMETRY"
      ];
      Restart = "always";
      RestartSec = 5;
    };
  };

  environment.etc."alloy/config.alloy".source = ./config.alloy;

  # The release whose defaults for data this host began with. It stays when the release goes on.
  system.stateVersion = "25.11";
}
