# Role k3s: a cluster of one node, whose API is where the firewall lets it be.
{ pkgs, ... }:

{
  services.k3s = {
    enable = true;
    role = "server";
    extraFlags = [
      # Its keys are root's.
      "--write-kubeconfig-mode=0600"
      "--disable=traefik"
    ];
  };

  # Pods speak to the host and to each other.
  networking.firewall.trustedInterfaces = [
    "cni0"
    "flannel.1"
  ];

  environment.systemPackages = [
    pkgs.k9s
    pkgs.kubectl
    pkgs.kubernetes-helm
  ];
}
