# Role hypervisor: QEMU and microvm.nix. Machines hang on a bridge of their own, reach the world, and not each other. Which there
# are is said in a module of one's own, by `microvm.vms.NAME`, with interfaces of type `tap` whose ids begin with `vm-`.
{ inputs, pkgs, ... }:

{
  imports = [ inputs.microvm.nixosModules.host ];

  microvm.host.enable = true;

  virtualisation.libvirtd = {
    enable = true;
    qemu = {
      package = pkgs.qemu_kvm;
      runAsRoot = false;
      swtpm.enable = true;
    };
  };

  systemd.network = {
    enable = true;
    netdevs."20-machines".netdevConfig = {
      Kind = "bridge";
      Name = "machines";
    };
    networks."20-machines" = {
      matchConfig.Name = "machines";
      address = [ "10.100.0.1/24" ];
      networkConfig = {
        ConfigureWithoutCarrier = true;
        DHCPServer = true;
      };
      dhcpServerConfig.DNS = "10.100.0.1";
    };
    # What microvm.nix calls the interfaces of its machines.
    networks."21-machines" = {
      matchConfig.Name = "vm-*";
      networkConfig.Bridge = "machines";
      # No two of them hear each other.
      bridgeConfig.Isolated = true;
    };
    # The host is reached by its own network, whoever runs that.
    wait-online.enable = false;
  };

  networking.nat = {
    enable = true;
    internalInterfaces = [ "machines" ];
  };
  networking.networkmanager.unmanaged = [
    "interface-name:machines"
    "interface-name:vm-*"
  ];

  # Names come from the host: the servers that it asks itself may be on a network that is private.
  services.resolved.enable = true;
  environment.etc."systemd/resolved.conf.d/machines.conf".text = ''
    [Resolve]
    DNSStubListenerExtra=10.100.0.1
  '';

  # Of the host they reach what gives them an address and names.
  networking.firewall.interfaces.machines = {
    allowedTCPPorts = [ 53 ];
    allowedUDPPorts = [
      53
      67
    ];
  };

  # They reach the world, no network that is private, and nobody reaches them but the host.
  networking.nftables.tables.machines = {
    family = "inet";
    content = ''
      chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        iifname "machines" ip daddr { 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16 } drop
        iifname "machines" ip6 daddr { fc00::/7, fe80::/10 } drop
        oifname "machines" drop
      }
    '';
  };
}
