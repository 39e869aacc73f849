# Machine ai, system ai.
{
  config,
  inputs,
  pkgs,
  ...
}:

{
  imports = [
    ./disk.nix
    ../../modules/agents.nix
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
    ../../modules/secrets.nix
    ../../modules/ssh.nix
    ../../modules/updates-security.nix
    ../../roles/agent-host.nix
    ../../roles/code-server.nix
    ../../roles/cuda.nix
    ../../roles/desktop-plasma.nix
    ../../roles/ollama.nix
    ../../roles/reverse-proxy.nix
  ];

  networking.hostName = "ai";
  nixpkgs.hostPlatform = "x86_64-linux";
  time.timeZone = "UTC";
  i18n.defaultLocale = "C.UTF-8";

  users.users.ada = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    # What runs goes on when the last connection is gone.
    linger = true;
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

  services.openssh.settings = {
    AllowUsers = [ "ada" ];
    MaxAuthTries = 3;
  };

  networking.firewall.allowedTCPPorts = [
    22
    80
    443
  ];

  # `sops secrets/ai.yaml` opens them in an editor.
  sops = {
    defaultSopsFile = ../../secrets/ai.yaml;
    age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    secrets = {
      cookie = { };
      oidc-client = { };
    };
  };

  nixpkgs.overlays = [ inputs.claude-code.overlays.default ];

  environment.systemPackages = [ pkgs.claude-code ];

  services.code-server = {
    user = "ada";
    group = "users";
    port = 4444;
  };

  services.xrdp.port = 33890;

  services.ollama = {
    package = pkgs.ollama-cuda;
    loadModels = [ "qwen3:8b" ];
  };

  services.caddy.virtualHosts."ai.example.org".extraConfig = ''
    handle /oauth2/* {
      reverse_proxy 127.0.0.1:4180
    }
    handle {
      forward_auth 127.0.0.1:4180 {
        uri /oauth2/auth
        header_up X-Real-IP {remote_host}
        copy_headers X-Auth-Request-User X-Auth-Request-Email
        @stranger status 401
        handle_response @stranger {
          redir * /oauth2/sign_in?rd={scheme}://{host}{uri}
        }
      }
      reverse_proxy 127.0.0.1:4444
    }
  '';
  services.oauth2-proxy = {
    clientID = "ai";
    oidcIssuerUrl = "https://accounts.example.org";
    redirectURL = "https://ai.example.org/oauth2/callback";
    email.addresses = ''
      ada@example.org
      bob@example.org
    '';
    keyFile = config.sops.templates."oauth2-proxy.env".path;
  };
  sops.templates."oauth2-proxy.env".content = ''
    OAUTH2_PROXY_CLIENT_SECRET=${config.sops.placeholder.oidc-client}
    OAUTH2_PROXY_COOKIE_SECRET=${config.sops.placeholder.cookie}
  '';

  # The release whose defaults for data this host began with. It stays when the release goes on.
  system.stateVersion = "25.11";
}
