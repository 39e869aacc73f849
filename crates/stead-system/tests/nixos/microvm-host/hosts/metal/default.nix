# Machine metal, system metal.
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
    ../../modules/secrets.nix
    ../../modules/ssh.nix
    ../../modules/updates-security.nix
    ../../roles/hypervisor.nix
    ../../roles/incus-host.nix
  ];

  networking.hostName = "metal";
  nixpkgs.hostPlatform = "x86_64-linux";
  time.timeZone = "UTC";
  i18n.defaultLocale = "C.UTF-8";

  users.users.ada = {
    isNormalUser = true;
    extraGroups = [
      "incus-admin"
      "libvirtd"
      "wheel"
    ];
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
    imports = [ ../../users/ada+metal.nix ];
    home.stateVersion = "25.11";
  };

  services.openssh = {
    settings = {
      AllowUsers = [ "ada" ];
      MaxAuthTries = 3;
    };
    hostKeys = [
      {
        path = "/nix/persist/etc/ssh/ssh_host_ed25519_key";
        type = "ed25519";
      }
    ];
  };

  networking.firewall = {
    trustedInterfaces = [ "wg0" ];
    allowedUDPPorts = [ 51820 ];
  };

  # The overlay. Whoever is in it reaches everything here.
  networking.wireguard.interfaces.wg0 = {
    ips = [ "10.9.0.1/24" ];
    listenPort = 51820;
    privateKeyFile = "/run/secrets/wg";
    peers = [
      {
        publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        allowedIPs = [ "10.9.0.2/32" ];
      }
    ];
  };

  # `sops secrets/metal.yaml` opens them in an editor.
  sops = {
    defaultSopsFile = ../../secrets/metal.yaml;
    age.sshKeyPaths = [ "/nix/persist/etc/ssh/ssh_host_ed25519_key" ];
    secrets.wg = { };
  };

  # The release whose defaults for data this host began with. It stays when the release goes on.
  system.stateVersion = "25.11";
}
